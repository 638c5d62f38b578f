"""Calibrations, figures, decisions and the cohort, from corpora of tones."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pytest

from tests.cli.widths import check_fits
from tests.fakes import plain_calibration
from tests.lab.evaluation.voices import Written, make_kit, people, write_corpus, write_wav
from voiceguard.cli.measuring import calibrate as command
from voiceguard.cli.output import print_table
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.conditions import Noisy
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.evaluation.daemon.calibration import calibrate
from voiceguard.lab.evaluation.daemon.cohort import make_cohort
from voiceguard.lab.evaluation.daemon.decisions import NOT_HEARD, Decided, decision_figures
from voiceguard.lab.evaluation.daemon.evaluation import (
    Choice,
    Judged,
    change_cosine_of,
    choose,
    evaluate,
)
from voiceguard.lab.evaluation.daemon.experiment import MAX_KEPT_BYTES, run_experiment
from voiceguard.lab.evaluation.daemon.speaker_changes import (
    Continuous,
    VoiceChanges,
    measure_changes,
    successive_cosines,
)
from voiceguard.lab.evaluation.plan import Plan
from voiceguard.lab.evaluation.report.layout import plain
from voiceguard.lab.evaluation.report.tables import (
    daemon_tables,
    decision_table,
    plain_daemon,
    score_table,
)
from voiceguard.lab.evaluation.utterances import each_speaker
from voiceguard.lab.fitting.trials import Kind
from voiceguard.scoring.snorm import load_cohort, save_cohort

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voiceguard.lab.corpora.corpus import Corpus
    from voiceguard.lab.evaluation.daemon.evaluation import Evaluation
    from voiceguard.service.kit import Kit

_T = TypeVar("_T")

TODAY = date(2026, 11, 21)
PLAN = Plan(lengths_s=(1.0,), max_places=1)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Ten voices that a pitch encoder tells apart easily."""
    rows = people(10, utterances=5, second_session=1)
    return read_corpus(write_corpus(tmp_path_factory.mktemp("corpus"), rows))


def evaluated(kit: Kit, corpus: Corpus, choice: Choice) -> Evaluation:
    """What the daemon would have said."""
    experiment = run_experiment(kit, corpus, PLAN, change_cosine=change_cosine_of(kit))
    return evaluate(kit, experiment, PLAN, corpora=corpus.corpora, choice=choice, today=TODAY)


@pytest.fixture(scope="module")
def evaluation(corpus: Corpus) -> Evaluation:
    return evaluated(make_kit(), corpus, Choice(Judged.CROSSED, "in a test"))


def test_voices_that_differ_are_accepted_and_told_apart(evaluation: Evaluation) -> None:
    rows = {(row.condition, row.kind): row for row in evaluation.decisions if row.p_fa == 0.01}
    for kind, num_trials in ((Kind.SAME_SESSION, 20), (Kind.CROSS_SESSION, 10)):
        row = rows["full clean", kind]
        assert row.num_trials == num_trials
        rate = row.accepted
        assert rate.value > 0.7
        assert rate.low is not None
        assert rate.high is not None
        assert rate.low <= rate.value <= rate.high
    strangers = rows["full clean", Kind.STRANGER]
    assert strangers.num_trials == 10 * 4 * 3
    assert strangers.accepted.value == 0.0
    assert strangers.accepted.num_pairs == 2 * 5 * 4 // 2
    assert strangers.rejected + strangers.inconclusive == pytest.approx(1.0)
    scores = {row.condition: row for row in evaluation.scores}
    assert scores["full clean"].eer < 0.15
    assert scores["1 s clean"].num_target == 20
    assert scores["1 s clean"].false_accepts == (0.0, 0.0)


def test_promises_hours_and_times_come_with_it(evaluation: Evaluation) -> None:
    assert evaluation.p_fas == (0.01, 0.001)
    assert [(row.p_fa, row.noise) for row in evaluation.promises] == [
        (0.01, "clean"), (0.001, "clean"),
    ]  # fmt: skip
    assert all(row.final.value == 0 and row.extrapolated for row in evaluation.promises)
    assert evaluation.hours[0].num_voiceprints == 10
    times = {(row.p_fa, row.condition): row for row in evaluation.times}
    row = times[0.01, "full clean"]
    # 3 s of a tone, accepted at a look after 2 s, or after the pause that ends it
    assert 2.0 <= row.median_net_s <= row.p90_net_s <= 3.2
    assert row.median_net_s <= row.median_audio_s <= 3.9
    assert evaluation.thresholds[0.01] < evaluation.thresholds[0.001]
    assert len(evaluation.llrs) == evaluation.scores[-1].num_target + 10 * 4 * (3 + 2)


def test_the_shipped_calibration_judges_everybody_against_everybody(tmp_path: Path) -> None:
    """Of four people: too few to fit anything to."""
    corpus = read_corpus(write_corpus(tmp_path, people(4, utterances=4, second_session=0)))
    kit = replace(make_kit(), calibration=plain_calibration())
    choice = choose(kit, corpus, None)
    assert choice.judged is Judged.SHIPPED
    run = evaluated(kit, corpus, choice)
    strangers = next(row for row in run.scores if row.condition == "full clean")
    assert strangers.num_pairs == 4 * 3 // 2  # not split into halves
    assert run.calibrations["a"] is run.calibrations["b"] is kit.calibration
    assert run.predictions is None


def test_speech_that_the_calibration_knows_is_judged_crosswise(corpus: Corpus) -> None:
    kit = make_kit()
    assert choose(kit, corpus, None).judged is Judged.CROSSED  # there is nothing else
    with pytest.raises(UsageError, match="no calibration to judge by"):
        choose(kit, corpus, Judged.SHIPPED)
    calibration = plain_calibration()
    knows = replace(calibration.provenance, corpora=("tones", "others"))
    kit = replace(kit, calibration=replace(calibration, provenance=knows))
    chosen = choose(kit, corpus, None)
    assert chosen.judged is Judged.CROSSED
    assert "fitted to tones" in chosen.reason
    assert choose(kit, corpus, Judged.SHIPPED) == (Judged.SHIPPED, "as asked for")


def test_the_report_can_be_printed_and_sent(evaluation: Evaluation) -> None:
    conditions = [row.condition for row in evaluation.scores]
    assert conditions == ["1 s clean", "full clean", "all"]
    assert score_table(evaluation.scores).row_count == 3
    assert decision_table(evaluation.decisions, 0.01).row_count == len(evaluation.decisions) == 12
    titles = [str(table.title) for table in daemon_tables(evaluation)]
    assert len(titles) == len(set(titles)) >= 5
    sent = plain_daemon(evaluation)
    assert sent["calibration"] == "crossed"
    assert len(sent["claims"]) == 2
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent
    first = plain(evaluation.decisions)[0]
    assert first["condition"] == "1 s clean"
    assert first["kind"] == "same session"
    assert plain(evaluation.scores)[-1]["condition"] == "all"


def test_its_tables_fit_a_narrow_terminal(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def show() -> None:
        for table in daemon_tables(evaluation):
            print_table(table)

    check_fits(show, monkeypatch, capsys)


def test_a_calibration_is_fitted_to_what_was_heard(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = make_kit()
    cohort, _ = make_cohort(kit, corpus, top_k=5)
    run = calibrate(replace(kit, cohort=cohort), corpus, PLAN, today=TODAY)
    made = run.calibration
    assert made.encoder_id == kit.encoder.info.encoder_id
    assert made.cohort_id == cohort.cohort_id
    assert made.slope > 0
    assert made.provenance.corpora == ("tones",)
    assert made.provenance.num_speakers == 10
    assert [tail.condition for tail in made.nontarget_tails] == ["clean"]
    assert run.figures[-1].num_pairs == 2 * 5 * 4 // 2
    check_fits(lambda: command._tell(run, 10), monkeypatch, capsys)


def test_a_corpus_is_heard_again_only_if_there_is_no_room_for_what_changes(tmp_path: Path) -> None:
    """The calibration is the same, to the last digit."""
    rows = [
        Written(f"s{number:02}", "only", 300.0 + 240.0 * number, seconds=seconds)
        for number in range(10)
        for seconds in (4.7, 4.5)
    ]
    plan = replace(PLAN, num_enroll=1)
    corpus = read_corpus(write_corpus(tmp_path, rows))
    shipped = replace(plain_calibration(), change_cosine=0.9999)  # more than any voice keeps
    done: list[str] = []

    def noted(items: Sequence[_T], description: str) -> Sequence[_T]:
        done.append(description)
        return items

    runs = [
        calibrate(
            make_kit(),
            corpus,
            plan,
            today=TODAY,
            shipped=shipped,
            max_kept_bytes=room,
            track=noted,
        ).calibration
        for room in (MAX_KEPT_BYTES, 0)
    ]
    assert runs[0] == runs[1]
    once = ["listening", "two voices", "voices in a take"]
    assert done == [*once, *once[:2], "listening", once[2]]


def test_nine_speakers_are_too_few_to_calibrate_on(tmp_path: Path) -> None:
    few = read_corpus(write_corpus(tmp_path, people(9, utterances=4, second_session=0)))
    with pytest.raises(UsageError, match=r"9 speakers .* needs 10"):
        calibrate(make_kit(), few, PLAN, today=TODAY)


def changes_in(corpus: Corpus) -> VoiceChanges:
    kit = make_kit()
    same_voice, longest = [], []
    for spoken in each_speaker(kit, corpus, seed=0, description="one voice"):
        same_voice += successive_cosines(kit, chain(*spoken.sessions.values()))
        assert spoken.longest is not None
        longest.append(Continuous.of(spoken.about, spoken.longest))
    return measure_changes(kit, longest, same_voice)


def test_one_voice_is_alike_and_two_are_not(corpus: Corpus) -> None:
    changes = changes_in(corpus)
    assert len(changes.lowest_at_change) == 2 * 10
    assert changes.caught(1.1) == 1.0
    assert changes.caught(-1.1) == 0.0
    assert changes.lowest_at_change.max() < 0.9


def test_the_same_voice_is_measured_within_utterances(tmp_path: Path) -> None:
    rows = [Written(f"s{n}", "only", 400.0 + 900 * n, seconds=7.0) for n in range(3)]
    changes = changes_in(read_corpus(write_corpus(tmp_path, rows)))
    assert len(changes.same_voice) == 3 * 2
    assert changes.same_voice.min() > 0.99
    assert changes.caught(0.9) == 1.0


def test_a_cohort_is_two_embeddings_per_speaker_without_names(
    corpus: Corpus, tmp_path: Path
) -> None:
    kit = make_kit()
    cohort, skips = make_cohort(kit, corpus, top_k=5)
    assert skips == ()
    assert (cohort.num_speakers, cohort.top_k) == (20, 5)
    assert [(each.corpus, each.licence, each.num_speakers) for each in cohort.sources] == [
        ("tones", "CC0-1.0", 10),
        ("tones, over a telephone", "CC0-1.0", 10),
    ]
    path = tmp_path / "cohort.safetensors"
    save_cohort(cohort, path)
    for speaker in corpus.by_speaker():
        assert speaker.split("/")[1].encode() not in path.read_bytes()
    loaded = load_cohort(path, encoder_id=kit.encoder.info.encoder_id)
    assert loaded.cohort_id == cohort.cohort_id
    # shuffled: tones rise with the speakers' names, and the cohort's rows don't
    pitch = np.argmax(cohort.embeddings, axis=1)
    assert list(pitch) != sorted(pitch)


def test_a_cohort_that_hears_more_ways_learns_a_projection(corpus: Corpus, tmp_path: Path) -> None:
    noise = tmp_path / "noise.wav"
    write_wav(noise, 0.1 * np.random.default_rng(0).standard_normal(48_000).astype(np.float32))
    ways = (Noisy(10.0, [noise]),)
    plain, _ = make_cohort(make_kit(), corpus, top_k=5)
    few, _ = make_cohort(make_kit(), corpus, top_k=5, ways=ways)
    assert few.projection is None  # ten people show too little
    made, _ = make_cohort(make_kit(), corpus, top_k=5, ways=ways, min_taught=10)
    again, _ = make_cohort(make_kit(), corpus, top_k=5, ways=ways, min_taught=10)
    assert np.array_equal(made.embeddings, plain.embeddings)
    assert made.projection is not None
    assert made.cohort_id == again.cohort_id != plain.cohort_id


def test_speakers_with_little_speech_are_not_in_the_cohort(tmp_path: Path) -> None:
    rows = people(11, utterances=2, second_session=0)
    rows += [Written("short", "first", 4000.0, seconds=1.0)]
    few = read_corpus(write_corpus(tmp_path, rows))
    cohort, _ = make_cohort(make_kit(), few)
    assert cohort.num_speakers == 2 * 11
    with pytest.raises(UsageError, match="0 of 12 speakers have 60 s"):
        make_cohort(make_kit(), few, min_speech_s=60)


def decided(outcome: str, *, tested: str = "anna", early: bool = False) -> Decided:
    return Decided(
        enrolled="anna",
        tested=tested,
        length="full",
        noise="clean",
        p_fa=0.01,
        extrapolated=False,
        accept_net_s=2.0 if early or outcome == "accepted" else None,
        accept_audio_s=2.5 if early or outcome == "accepted" else None,
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
    shares = (target.accepted.value, target.inconclusive, target.not_heard)
    assert shares == pytest.approx((1 / 3,) * 3)
    assert target.accepted_early == pytest.approx(1 / 3)
    assert target.inconclusive_reasons == {"too_short": 1}
    assert stranger.accepted.value == pytest.approx(0.2)
    assert target.accepted.low is None  # one speaker says nothing about others
