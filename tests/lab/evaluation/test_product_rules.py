"""The rules that an evaluation measures are the product's: change one there, and figures change."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.fakes import plain_calibration
from tests.lab.evaluation.voices import ToneKit, make_kit, people, write_corpus
from voiceguard.enrollment import Problem, TakeJudge
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.evaluation.daemon.evaluation import Judged
from voiceguard.lab.evaluation.plan import Plan
from voiceguard.lab.evaluation.run import Request, run
from voiceguard.lab.fitting.trials import Kind
from voiceguard.pipeline.judge import Judge
from voiceguard.types import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voiceguard.decisions.result import Judgement
    from voiceguard.enrollment import TakeReport
    from voiceguard.lab.corpora.corpus import Corpus
    from voiceguard.lab.evaluation.daemon.evaluation import Evaluation
    from voiceguard.scoring.adaptation import Mark
    from voiceguard.scoring.policy import Evidence
    from voiceguard.service.kit import Kit
    from voiceguard.types import Recorded, SpeakerScore, Voiceprint


class WaryJudge(Judge):
    """Accepts nobody before two seconds of speech."""

    def decide(self, scores: tuple[SpeakerScore, ...], evidence: Evidence) -> Judgement:
        if evidence.net_speech_s < 2.0:
            evidence = replace(evidence, impediment=Reason.OVERLOADED)
        return Judge.decide(self, scores, evidence)


class WaryKit(ToneKit):
    """A product with another rule for decisions."""

    def make_judge(
        self,
        voiceprints: Sequence[Voiceprint],
        claim: str | None = None,
        marks: Mapping[str, tuple[Mark, ...]] | None = None,
    ) -> Judge:
        usual = super().make_judge(voiceprints, claim, marks)
        return WaryJudge(**{each.name: getattr(usual, each.name) for each in fields(usual)})


@dataclass(frozen=True, slots=True, kw_only=True)
class PickyJudge(TakeJudge):
    """Takes of voices above 900 Hz are not good enough."""

    def assess(self, recording: Recorded) -> TakeReport:
        report = TakeJudge.assess(self, recording)
        assert report.embedding is not None
        is_high = report.embedding.argmax() > 900 / 125  # Hz, of a band
        return replace(report, problems=(Problem.TOO_NOISY,)) if is_high else report


class PickyKit(ToneKit):
    """A product with another rule for enrollment."""

    @property
    def take_judge(self) -> TakeJudge:
        usual = super().take_judge
        return PickyJudge(**{each.name: getattr(usual, each.name) for each in fields(usual)})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Six voices."""
    rows = people(6, utterances=4, second_session=0)
    return read_corpus(write_corpus(tmp_path_factory.mktemp("corpus"), rows))


def evaluated(corpus: Corpus, kind: type[Kit]) -> Evaluation:
    usual = make_kit()
    kit = kind(
        settings=usual.settings,
        encoder=usual.encoder,
        cohort=None,
        calibration=plain_calibration(),
    )
    plan = Plan(lengths_s=(1.0, 2.0), max_places=1, num_draws=10)
    request = Request(kits={"tones": kit}, speech=corpus, plan=plan, judged=Judged.SHIPPED)
    found = run(request, today=date(2026, 11, 21))
    assert found.daemon is not None
    return found.daemon


@pytest.fixture(scope="module")
def usual(corpus: Corpus) -> Evaluation:
    """By the rules as they are."""
    return evaluated(corpus, ToneKit)


def accepted(evaluation: Evaluation, condition: str) -> float:
    (row,) = (
        row
        for row in evaluation.decisions
        if (row.p_fa, row.condition, row.kind) == (0.01, condition, Kind.SAME_SESSION)
    )
    return row.accepted.value


def test_a_rule_of_the_judge_is_measured(corpus: Corpus, usual: Evaluation) -> None:
    wary = evaluated(corpus, WaryKit)
    assert accepted(usual, "1 s clean") > 0
    assert accepted(wary, "1 s clean") == 0
    assert accepted(wary, "full clean") == accepted(usual, "full clean") > 0
    reasons = [
        row.inconclusive_reasons
        for row in wary.decisions
        if row.condition == "1 s clean" and row.kind is Kind.SAME_SESSION
    ]
    assert all(set(each) == {Reason.OVERLOADED} for each in reasons)


def test_a_rule_of_enrollment_is_measured(corpus: Corpus, usual: Evaluation) -> None:
    picky = evaluated(corpus, PickyKit)
    assert len(usual.experiment.enrolled) == 6
    assert 2 <= len(picky.experiment.enrolled) < 6
