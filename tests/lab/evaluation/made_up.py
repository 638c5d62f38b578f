"""Evaluations drawn from Gaussians: what the report looks like, without an hour of listening."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.fakes import plain_calibration
from voiceguard.lab.corpora.corpus import HALVES
from voiceguard.lab.evaluation.daemon.by_corpus import corpus_figures
from voiceguard.lab.evaluation.daemon.decisions import Decided, decision_figures
from voiceguard.lab.evaluation.daemon.evaluation import Choice, Evaluation, Judged
from voiceguard.lab.evaluation.daemon.experiment import Experiment
from voiceguard.lab.evaluation.daemon.figures import score_figures
from voiceguard.lab.evaluation.daemon.promises import (
    check_promises,
    false_accepts_per_hour,
    times_to_decision,
)
from voiceguard.lab.evaluation.encoders.comparison import Comparison
from voiceguard.lab.evaluation.encoders.costs import EncoderCost
from voiceguard.lab.evaluation.encoders.figures import EncoderFigures
from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation
from voiceguard.lab.evaluation.encoders.trials import Scored
from voiceguard.lab.fitting.metrics import eer
from voiceguard.lab.fitting.trials import Kind, Trials

if TYPE_CHECKING:
    from voiceguard.lab.evaluation.encoders.embeddings import Cell

NUM_SPEAKERS = 24
LENGTHS = ("1 s", "3 s", "full")
CONDITIONS = ("clean", "10 dB", "5 dB", "0 dB", "reverberant", "telephone")
P_FAS = (0.01, 0.001)


def shift(length: str, condition: str) -> float:
    """How far targets lie from strangers, in standard deviations."""
    return {"1 s": 2.4, "3 s": 3.4, "full": 3.0}[length] - 0.3 * CONDITIONS.index(condition)


def make_decided(rng: np.random.Generator, *, lengths: tuple[str, ...] = LENGTHS) -> list[Decided]:
    """Everybody against everybody, twice; an accept needs an LLR above -log p_fa."""
    names = [f"{('here', 'there')[n % 2]}/s{n:02}" for n in range(NUM_SPEAKERS)]
    decided = []
    for length in lengths:
        for noise in CONDITIONS:
            for enrolled in names:
                for tested in names:
                    if enrolled.split("/")[0] != tested.split("/")[0]:
                        continue
                    for kind in _kinds(enrolled, tested):
                        middle = -6.0 if kind is Kind.STRANGER else 2.4 * shift(length, noise) - 2
                        llr = float(rng.normal(middle, 3.0))
                        decided += [
                            one(enrolled, tested, length, noise, kind, p, llr) for p in P_FAS
                        ]
    return decided


def _kinds(enrolled: str, tested: str) -> list[Kind]:
    if enrolled == tested:
        return [Kind.SAME_SESSION, Kind.SAME_SESSION, Kind.CROSS_SESSION]
    return [Kind.STRANGER]


def one(
    enrolled: str, tested: str, length: str, noise: str, kind: Kind, p_fa: float, llr: float
) -> Decided:
    accepted = llr > -np.log(p_fa)
    early = accepted and llr > 8 and length != "1 s"
    return Decided(
        enrolled=enrolled,
        tested=tested,
        length=length,
        noise=noise,
        kind=kind,
        p_fa=p_fa,
        outcome="accepted" if accepted else "inconclusive" if llr > 0 else "unknown",
        reason="above_threshold" if accepted else "between_thresholds",
        extrapolated=p_fa < 0.01,
        accepted_early=early,
        accept_net_s=(2.0 if early else 3.0) if accepted else None,
        accept_audio_s=(2.3 if early else 3.9) if accepted else None,
        net_speech_s=3.0,
    )


def make_encoders(labels: tuple[str, ...] = ("ours", "theirs")) -> EncoderEvaluation:
    rng = np.random.default_rng(5)

    def scored(label: str, cell: Cell) -> Scored:
        draw = np.random.default_rng([len(label), LENGTHS.index(cell.length)])
        num_target, num_stranger = 300, 6000
        target = np.arange(num_target + num_stranger) < num_target
        better = 0.5 if label == labels[0] else 0.0
        away = shift(cell.length, cell.condition) + better
        score = 0.12 * draw.normal(np.where(target, away, 0.0), 1.0)
        kind = np.where(
            target, np.where(draw.random(len(target)) < 0.6, Kind.SAME_SESSION, Kind.CROSS_SESSION),
            Kind.STRANGER,
        )  # fmt: skip
        name, unknown = np.full(len(target), "here/s01"), np.full(len(target), np.nan)
        trials = Trials(
            score=score, kind=kind, enrolled=name, tested=name, net_speech_s=unknown,
            snr_db=unknown, fold=np.zeros(len(target), np.int64), condition=name,
        )  # fmt: skip
        return Scored(trials, normalised=None, llrs=None)

    evaluation = EncoderEvaluation(
        labels=labels,
        corpora=("here", "there"),
        conditions=CONDITIONS,
        lengths=LENGTHS,
        figures=(),
        comparisons=(),
        costs=tuple(
            EncoderCost(label=label, encoder_id="0" * 16, embedding_dim=192,
                        num_parameters=2_000_000, cpu_ms=float(rng.uniform(9, 20)))
            for label in labels
        ),
        num_speakers=NUM_SPEAKERS,
        num_enrolled=NUM_SPEAKERS,
        skips=(),
        scored=scored,
    )  # fmt: skip
    figures = [
        _figures(label, condition, length, evaluation.trials(label, condition, length))
        for label in labels
        for condition in CONDITIONS
        for length in LENGTHS
    ]
    return EncoderEvaluation(
        **{
            **{name: getattr(evaluation, name) for name in evaluation.__slots__},
            "figures": tuple(figures),
            "comparisons": tuple(_comparison(labels[0], other) for other in labels[1:]),
        }
    )


def _comparison(first: str, other: str) -> Comparison:
    return Comparison(
        first=first, other=other, condition="clean", length="1-3 s", eer_first=0.04,
        eer_other=0.06, relative_difference=-0.33, interval=(-0.42, -0.2),
    )  # fmt: skip


def _figures(label: str, condition: str, length: str, trials: Trials) -> EncoderFigures:
    rate = eer(trials.target, trials.nontarget)
    return EncoderFigures(
        label=label, scoring="cosine", corpus="mean", condition=condition, length=length,
        num_target=300, num_nontarget=6000, eer=rate, eer_interval=(0.8 * rate, 1.2 * rate),
        eer_same_session=rate, eer_cross_session=rate, min_dcf_01=0.4, min_dcf_05=0.3,
        act_dcf=None, cllr=None, min_cllr=0.2,
    )  # fmt: skip


def make_daemon() -> Evaluation:
    rng = np.random.default_rng(6)
    decided = make_decided(rng)
    shown = [each for each in decided if each.p_fa == P_FAS[0]]
    strangers = np.array([each.kind is Kind.STRANGER for each in shown])
    llrs = Trials(
        score=rng.normal(np.where(strangers, -7.0, 6.0), 3.0),
        enrolled=np.array([each.enrolled for each in shown]),
        tested=np.array([each.tested for each in shown]),
        net_speech_s=np.full(len(shown), 3.0),
        snr_db=np.full(len(shown), 20.0),
        fold=rng.integers(2, size=len(shown)),
        condition=np.array([each.condition for each in shown]),
        surroundings=np.array([each.noise for each in shown]),
        kind=np.array([str(each.kind) for each in shown]),
    )
    calibrations = dict.fromkeys(HALVES, plain_calibration())
    return Evaluation(
        choice=Choice(Judged.SHIPPED, "it was fitted to other corpora than these"),
        p_fas=P_FAS,
        shipped_p_fa=0.01,
        experiment=Experiment(enrolled=(), tests=(), skips=()),
        calibrations=calibrations,
        llrs=llrs,
        scores=score_figures(llrs, calibrations),
        decisions=decision_figures(decided),
        by_corpus=corpus_figures(decided, llrs),
        households=[],
        promises=check_promises(decided),
        hours=false_accepts_per_hour(decided),
        times=times_to_decision(decided),
        thresholds={0.01: 4.6, 0.001: 6.9},
        predictions=None,
    )
