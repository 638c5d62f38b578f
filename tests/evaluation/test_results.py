"""Calibrations, figures, decisions and the cohort, from corpora of tones."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.evaluation.voices import Written, make_kit, people, write_corpus
from voiceguard.errors import UsageError
from voiceguard.evaluation.calibrating import calibrate
from voiceguard.evaluation.changes import measure_changes
from voiceguard.evaluation.cohorts import make_cohort
from voiceguard.evaluation.corpus import read_corpus
from voiceguard.evaluation.decisions import NOT_HEARD, Decided, decision_figures
from voiceguard.evaluation.evaluating import evaluate
from voiceguard.evaluation.experiment import Plan
from voiceguard.evaluation.pairing import Kind
from voiceguard.evaluation.report import decision_table, plain, score_table
from voiceguard.scoring.snorm import load_cohort, save_cohort

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.evaluation.corpus import Corpus
    from voiceguard.evaluation.evaluating import Evaluation

TODAY = date(2026, 11, 21)
PLAN = Plan(lengths_s=(1.0,), max_places=1)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Ten voices that a pitch encoder tells apart easily."""
    rows = people(10, utterances=5, second_session=1)
    return read_corpus(write_corpus(tmp_path_factory.mktemp("corpus"), rows))


@pytest.fixture(scope="module")
def evaluation(corpus: Corpus) -> Evaluation:
    return evaluate(make_kit(), corpus, PLAN, today=TODAY)


def test_voices_that_differ_are_accepted_and_told_apart(evaluation: Evaluation) -> None:
    rows = {(row.condition, row.kind): row for row in evaluation.decisions}
    for kind, num_trials in ((Kind.SAME_SESSION, 20), (Kind.CROSS_SESSION, 10)):
        row = rows["full clean", kind]
        assert row.num_trials == num_trials
        assert row.accepted > 0.7
        assert row.accepted_interval is not None
        assert row.accepted_interval[0] <= row.accepted <= row.accepted_interval[1]
    strangers = rows["full clean", Kind.STRANGER]
    assert strangers.num_trials == 10 * 4 * 3
    assert strangers.accepted == 0.0
    assert strangers.accepts_per_hour == 0.0
    assert strangers.accepted + strangers.rejected + strangers.inconclusive == pytest.approx(1.0)
    scores = {row.condition: row for row in evaluation.scores}
    assert scores["full clean"].eer < 0.15
    assert scores["1 s clean"].num_target == 20
    assert scores["1 s clean"].false_accepts == (0.0, 0.0)


def test_the_report_can_be_printed_and_sent(evaluation: Evaluation) -> None:
    conditions = [row.condition for row in evaluation.scores]
    assert conditions == ["1 s clean", "full clean", "all"]
    assert score_table(evaluation.scores).row_count == 3
    assert decision_table(evaluation.decisions, 0.01).row_count == len(evaluation.decisions) == 6
    first = plain(evaluation.decisions)[0]
    assert first["condition"] == "1 s clean"
    assert first["kind"] == "same session"
    assert plain(evaluation.scores)[-1]["condition"] == "all"


def test_a_calibration_is_fitted_to_what_was_heard(corpus: Corpus) -> None:
    kit = make_kit()
    cohort, _ = make_cohort(kit, corpus, top_k=5)
    run = calibrate(replace(kit, cohort=cohort), corpus, PLAN, today=TODAY)
    made = run.calibration
    assert made.encoder_id == kit.encoder.info.encoder_id
    assert made.cohort_id == cohort.cohort_id
    assert made.slope > 0
    assert made.provenance.corpora == ("tones",)
    assert made.provenance.num_speakers == 10
    assert {tail.condition for tail in made.nontarget_tails} == {"1 s clean", "full clean"}
    assert run.figures[-1].num_pairs == 2 * 5 * 4 // 2


def test_nine_speakers_are_too_few_to_calibrate_on(tmp_path: Path) -> None:
    few = read_corpus(write_corpus(tmp_path, people(9, utterances=4, second_session=0)))
    with pytest.raises(UsageError, match=r"9 speakers .* needs 10"):
        calibrate(make_kit(), few, PLAN, today=TODAY)


def test_one_voice_is_alike_and_two_are_not(corpus: Corpus) -> None:
    changes = measure_changes(make_kit(), corpus)
    assert len(changes.lowest_at_change) == 2 * 10
    assert changes.caught(1.1) == 1.0
    assert changes.caught(-1.1) == 0.0
    assert changes.lowest_at_change.max() < 0.9


def test_the_same_voice_is_measured_within_utterances(tmp_path: Path) -> None:
    rows = [Written(f"s{n}", "only", 400.0 + 900 * n, seconds=7.0) for n in range(3)]
    changes = measure_changes(make_kit(), read_corpus(write_corpus(tmp_path, rows)))
    assert len(changes.same_voice) == 3 * 2
    assert changes.same_voice.min() > 0.99
    assert changes.caught(0.9) == 1.0


def test_a_cohort_is_one_embedding_per_speaker_without_names(
    corpus: Corpus, tmp_path: Path
) -> None:
    kit = make_kit()
    cohort, skips = make_cohort(kit, corpus, top_k=5)
    assert skips == ()
    assert (cohort.num_speakers, cohort.top_k) == (10, 5)
    (source,) = cohort.sources
    assert (source.corpus, source.licence, source.num_speakers) == ("tones", "CC0-1.0", 10)
    path = tmp_path / "cohort.safetensors"
    save_cohort(cohort, path)
    for speaker in corpus.by_speaker():
        assert speaker.split("/")[1].encode() not in path.read_bytes()
    loaded = load_cohort(path, encoder_id=kit.encoder.info.encoder_id)
    assert loaded.cohort_id == cohort.cohort_id
    # shuffled: tones rise with the speakers' names, and the cohort's rows don't
    pitch = np.argmax(cohort.embeddings, axis=1)
    assert list(pitch) != sorted(pitch)


def test_speakers_with_little_speech_are_not_in_the_cohort(tmp_path: Path) -> None:
    rows = people(11, utterances=2, second_session=0)
    rows += [Written("short", "first", 4000.0, seconds=1.0)]
    few = read_corpus(write_corpus(tmp_path, rows))
    cohort, _ = make_cohort(make_kit(), few)
    assert cohort.num_speakers == 11
    with pytest.raises(UsageError, match="0 of 12 speakers have 60 s"):
        make_cohort(make_kit(), few, min_speech_s=60)


def decided(outcome: str, *, tested: str = "anna", early: bool = False) -> Decided:
    return Decided(
        enrolled="anna",
        tested=tested,
        condition="full clean",
        kind=Kind.SAME_SESSION if tested == "anna" else Kind.STRANGER,
        outcome=outcome,
        reason="below_threshold" if outcome == "unknown" else "too_short",
        accepted_early=early,
        net_speech_s=360.0,
    )


def test_rates_count_what_was_said_and_what_was_not() -> None:
    trials = [decided("accepted"), decided("inconclusive", early=True), decided(NOT_HEARD)]
    trials += [decided("accepted", tested="bert"), *[decided("unknown", tested="bert")] * 4]
    target, stranger = decision_figures(trials)
    assert (target.accepted, target.inconclusive, target.not_heard) == pytest.approx((1 / 3,) * 3)
    assert target.accepted_early == pytest.approx(1 / 3)
    assert target.inconclusive_reasons == {"too_short": 1}
    assert stranger.accepted == pytest.approx(0.2)
    assert stranger.speech_hours == pytest.approx(0.5)
    assert stranger.accepts_per_hour == pytest.approx(2.0)
    assert target.accepted_interval is None  # one speaker says nothing about others
