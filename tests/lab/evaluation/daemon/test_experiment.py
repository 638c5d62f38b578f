"""Who is enrolled from what, and what is left to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import plain_calibration, quiet, tone
from tests.lab.evaluation.voices import Written, make_kit, people, write_corpus, write_wav
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.clips import Clip
from voiceguard.lab.corpora.conditions import Clean, Noisy, Telephone
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.evaluation.daemon.experiment import (
    MAX_KEPT_BYTES,
    Experiment,
    Hindsight,
    in_the_clip,
    run_experiment,
)
from voiceguard.lab.evaluation.daemon.playback import HeardSegment, Note
from voiceguard.lab.evaluation.daemon.speaker_changes import successive_cosines
from voiceguard.lab.evaluation.daemon.trials import fitted_to_the_other_half, score_trials
from voiceguard.lab.evaluation.plan import FULL, Plan
from voiceguard.lab.evaluation.utterances import each_speaker
from voiceguard.lab.fitting.trials import Kind
from voiceguard.scoring.cosine import renormalised_mean
from voiceguard.scoring.policy import Evidence

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.lab.corpora.corpus import Corpus

PLAN = Plan(lengths_s=(1.0, 2.0), max_places=1)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Eight speakers, each with a session of four utterances and one of one."""
    folder = tmp_path_factory.mktemp("corpus")
    corpus = read_corpus(write_corpus(folder, people(8, utterances=4, second_session=1)))
    return run_experiment(make_kit(), corpus, PLAN, change_cosine=None)


def test_everybody_is_enrolled_once_from_the_larger_session(heard: Experiment) -> None:
    assert [each.about.speaker for each in heard.enrolled] == [f"tones/s{n:02}" for n in range(8)]
    assert {each.about.session for each in heard.enrolled} == {"first"}
    assert {len(each.voiceprint.templates) for each in heard.enrolled} <= {2, 3}


def test_utterances_of_the_enrollment_are_not_tested(heard: Experiment) -> None:
    for speaker in (each.about.speaker for each in heard.enrolled):
        full = [t for t in heard.tests if t.about.speaker == speaker and t.length == FULL]
        sessions = sorted(test.about.session for test in full)
        assert sessions == ["first", "second"]


def test_the_same_places_are_tested_at_every_length(heard: Experiment) -> None:
    for length, seconds in (("1 s", 1.0), ("2 s", 2.0)):
        tests = [test for test in heard.tests if test.length == length]
        assert len(tests) == 16
        for test in tests:
            assert test.heard is not None
            assert test.heard.final.evidence.net_speech_s == pytest.approx(seconds, abs=0.15)


def test_trials_are_within_a_half_and_marked_by_session(heard: Experiment) -> None:
    trials = score_trials(heard, None)
    half_of = {each.about.speaker: each.about.half for each in heard.enrolled}
    for enrolled, tested in zip(trials.enrolled, trials.tested, strict=True):
        assert half_of[str(enrolled)] == half_of[str(tested)]
    # per voiceprint: 4 speakers x 2 sessions x (2 crops and an utterance), its own among them
    assert len(trials) == 8 * 4 * 6
    assert np.count_nonzero(trials.kind == Kind.SAME_SESSION) == 8 * 3
    assert np.count_nonzero(trials.kind == Kind.CROSS_SESSION) == 8 * 3
    assert trials.target.min() > trials.nontarget.max()


def test_trials_never_cross_corpora(tmp_path: Path) -> None:
    rows = people(2, utterances=4, second_session=0)
    for row in people(2, utterances=4, second_session=0):
        rows.append(Written(row.speaker, row.session, row.hz, corpus="other"))
    experiment = run_experiment(
        make_kit(), read_corpus(write_corpus(tmp_path, rows)), PLAN, change_cosine=None
    )
    trials = score_trials(experiment, None)
    for enrolled, tested in zip(trials.enrolled, trials.tested, strict=True):
        assert str(enrolled).split("/")[0] == str(tested).split("/")[0]


def test_a_half_is_judged_by_what_the_other_half_taught(heard: Experiment) -> None:
    trials = score_trials(heard, None)
    before = fitted_to_the_other_half(trials, plain_calibration())
    spoilt = trials.with_score(np.where(trials.fold == 0, -trials.score, trials.score))
    after = fitted_to_the_other_half(spoilt, plain_calibration())
    assert before["a"] == after["a"]
    assert before["b"] != after["b"]


def test_noise_makes_conditions_of_its_own_and_is_the_same_each_time(tmp_path: Path) -> None:
    write_wav(tmp_path / "noise" / "fan.wav", quiet(2, level=0.1))
    corpus = read_corpus(write_corpus(tmp_path, people(2, utterances=4, second_session=0)))
    noise = Noisy(10.0, [tmp_path / "noise" / "fan.wav"])
    plan = Plan(lengths_s=(2.0,), max_places=1, conditions=(Clean(), noise))
    first = run_experiment(make_kit(), corpus, plan, change_cosine=None)
    again = run_experiment(make_kit(), corpus, plan, change_cosine=None)
    assert {test.condition for test in first.tests} == {
        "2 s clean", "2 s 10 dB", "full clean", "full 10 dB",
    }  # fmt: skip
    for one, other in zip(first.tests, again.tests, strict=True):
        assert one.heard is not None
        assert other.heard is not None
        np.testing.assert_array_equal(one.heard.final.embedding, other.heard.final.embedding)
        if one.noise == "10 dB":
            assert one.heard.final.evidence.snr_db == pytest.approx(10, abs=4)


CHANGE_COSINE = 0.9
SHORT_PLAN = Plan(lengths_s=(1.0,), max_places=1, num_enroll=1)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Three speakers; in one of the utterances that are tested, somebody else goes on."""
    folder = tmp_path_factory.mktemp("interrupted")
    rows = [Written(f"s{n}", "only", 500.0 + 700 * n, seconds=7.0) for n in range(3)] * 2
    manifest = write_corpus(folder, rows)
    halves = [tone(500.0, 3.3, seed=1), tone(2600.0, 3.3, seed=2)]
    write_wav(folder / "tones" / "s0" / "3.wav", np.concatenate([quiet(0.4), *halves, quiet(0.4)]))
    return read_corpus(manifest)


@pytest.fixture(scope="module")
def in_hindsight(interrupted: Corpus) -> Hindsight:
    return heard_in_hindsight(interrupted)


def heard_in_hindsight(corpus: Corpus, max_kept_bytes: int = MAX_KEPT_BYTES) -> Hindsight:
    heard = Hindsight(kit=make_kit(), plan=SHORT_PLAN, max_kept_bytes=max_kept_bytes)
    for spoken in each_speaker(heard.kit, corpus, seed=SHORT_PLAN.seed, description="listening"):
        heard.take(spoken)
    return heard


def in_full(experiment: Experiment) -> list[tuple[object, ...]]:
    """All that was heard, to the last bit."""
    return [
        (
            *(test.about, test.condition, heard.start_s, heard.end_s),
            *(note.known_s, note.evidence, np.asarray(note.embedding).tobytes()),
        )
        for test in experiment.tests
        for heard in [test.heard]
        if heard is not None
        for note in (*heard.looks, heard.final)
    ]


def test_in_hindsight_is_heard_what_would_have_been_heard_with_the_threshold(
    interrupted: Corpus, in_hindsight: Hindsight
) -> None:
    """One clip is cut in two by the threshold that only comes afterwards."""
    before = len(in_hindsight.finish().tests)
    assert in_hindsight.settled(CHANGE_COSINE)
    found = in_hindsight.finish()
    expected = run_experiment(make_kit(), interrupted, SHORT_PLAN, change_cosine=CHANGE_COSINE)
    assert len(found.tests) == before + 1
    assert in_full(found) == in_full(expected)
    assert found.skips == expected.skips


def test_in_hindsight_one_voice_is_known_from_every_utterance(
    interrupted: Corpus, in_hindsight: Hindsight
) -> None:
    """Those that were enrolled from, too."""
    kit, expected = make_kit(), []
    for spoken in each_speaker(kit, interrupted, seed=0, description="one voice"):
        for session in spoken.sessions.values():
            expected += successive_cosines(kit, session)
    assert sorted(in_hindsight.same_voice) == sorted(expected)
    assert len(expected) >= 6 * 2


def test_clips_that_there_was_no_room_for_are_missed_only_where_they_matter(
    interrupted: Corpus,
) -> None:
    a_clip = 4 * 16_000 * 11  # bytes, of 7 s with the room around it
    least_alike = heard_in_hindsight(interrupted, max_kept_bytes=a_clip)
    assert least_alike.settled(CHANGE_COSINE)
    assert not least_alike.settled(1.1)
    nothing = heard_in_hindsight(interrupted, max_kept_bytes=0)
    assert not nothing.settled(CHANGE_COSINE)
    assert nothing.settled(-1.0)
    assert nothing.settled(None)


def test_files_that_are_no_audio_or_silent_are_named(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, people(2, utterances=6, second_session=0))
    (tmp_path / "tones" / "s00" / "0.wav").write_bytes(b"not audio at all")
    write_wav(tmp_path / "tones" / "s00" / "1.wav", quiet(2))
    experiment = run_experiment(make_kit(), read_corpus(manifest), PLAN, change_cosine=None)
    assert [skip.path.name for skip in experiment.skips] == ["0.wav", "1.wav"]
    assert experiment.skips[1].reason == "no speech in it"


def test_speakers_who_cannot_be_enrolled_are_strangers_still(tmp_path: Path) -> None:
    rows = people(3, utterances=4, second_session=0)
    rows += [Written("short", "first", 2000.0, seconds=0.6) for _ in range(4)]  # 2 s in all
    experiment = run_experiment(
        make_kit(), read_corpus(write_corpus(tmp_path, rows)), PLAN, change_cosine=None
    )
    assert "tones/short" not in {each.about.speaker for each in experiment.enrolled}
    assert "tones/short" in {test.about.speaker for test in experiment.tests}


def test_whoever_has_no_long_session_is_enrolled_from_all_of_one(tmp_path: Path) -> None:
    """Recordings of one sitting that are listed as sessions of their own."""
    rows = [
        Written(f"s{n:02}", f"sitting {part}", 300.0 + 240.0 * n, seconds=3.0 + part)
        for n in range(2)
        for part in range(3)
    ]
    experiment = run_experiment(
        make_kit(), read_corpus(write_corpus(tmp_path, rows)), PLAN, change_cosine=None
    )
    assert [each.about.session for each in experiment.enrolled] == ["sitting 2", "sitting 2"]
    assert {len(each.voiceprint.templates) for each in experiment.enrolled} == {1}
    assert {test.about.session for test in experiment.tests} == {"sitting 0", "sitting 1"}


def test_nobody_to_enroll_is_an_error(tmp_path: Path) -> None:
    rows = people(3, utterances=3, second_session=0)
    with pytest.raises(UsageError, match="0 speakers could be enrolled"):
        run_experiment(
            make_kit(), read_corpus(write_corpus(tmp_path, rows)), PLAN, change_cosine=None
        )


def test_a_voiceprint_is_of_the_speakers_own_voice(heard: Experiment) -> None:
    for each in heard.enrolled:
        mean = renormalised_mean(np.stack([t.embedding for t in each.voiceprint.templates]))
        hz = 300.0 + 240.0 * int(each.about.speaker[-2:])
        near = [make_kit().encoder.embed(tone(hz + off, 2.0)) for off in (-60, 0, 60)]
        far = make_kit().encoder.embed(tone(hz + 1000, 2.0))
        assert max(float(mean @ one) for one in near) > 0.6
        assert float(mean @ far) < 0.1


def test_a_noise_that_opens_the_gate_beside_the_speech_is_nobodys_voice() -> None:
    note = Note(
        embedding=None, evidence=Evidence(net_speech_s=1, snr_db=9, is_final=True), known_s=3
    )
    dog, word, rest, door = (
        HeardSegment(looks=(), final=note, start_s=start_s, end_s=end_s)
        for start_s, end_s in ((0.5, 2.3), (1.9, 2.6), (3.2, 5.0), (5.5, 8.0))
    )
    clip = Clip(quiet(8), start_s=2.0, end_s=6.0)
    assert in_the_clip([dog, word, rest, door], clip, whole=True) == [word, rest]
    assert in_the_clip([dog, word, rest, door], clip, whole=False) == [rest]
    assert in_the_clip([], clip, whole=False) == []


def test_some_conditions_are_heard_at_one_length_only(tmp_path: Path) -> None:
    corpus = read_corpus(write_corpus(tmp_path, people(2, utterances=4, second_session=0)))
    plan = Plan(
        lengths_s=(1.0, 2.0), max_places=1, conditions=(Clean(), Telephone()), brief=("telephone",),
        brief_length_s=2.0,
    )  # fmt: skip
    experiment = run_experiment(make_kit(), corpus, plan, change_cosine=None)
    assert {test.condition for test in experiment.tests} == {
        "1 s clean", "2 s clean", "full clean", "2 s telephone", "full telephone",
    }  # fmt: skip


def test_brief_conditions_share_the_whole_utterances() -> None:
    """Every second one in each of them, and each in half of them."""
    plan = Plan(brief=("telephone", "5 dB"), brief_length_s=2.0)
    for number in range(4):
        heard = [name for name in plan.brief if not plan.is_left_out("full", name, number)]
        assert heard == [plan.brief[number % 2]]
        assert not plan.is_left_out("full", "clean", number)
        assert not plan.is_left_out("2 s", "5 dB", number)
        assert plan.is_left_out("1 s", "5 dB", number)


def test_in_one_half_everybody_meets_everybody(heard: Experiment) -> None:
    trials = score_trials(heard.in_one_half(), None)
    assert len(trials) == 8 * 8 * 6
    assert trials.select(~trials.is_target).num_pairs == 8 * 7 // 2
