"""Encoders alone: the same trials for each, figures per corpus and condition, who is better."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from tests.cli.widths import check_fits
from tests.fakes import PitchEncoder, plain_calibration, quiet
from tests.lab.evaluation.voices import Written, make_kit, people, write_corpus, write_wav
from voiceguard.cli.output import print_table
from voiceguard.errors import UsageError
from voiceguard.lab.corpora.conditions import Clean, Noisy
from voiceguard.lab.corpora.corpus import read_corpus
from voiceguard.lab.evaluation.encoders.costs import measure_costs
from voiceguard.lab.evaluation.encoders.embeddings import Cell
from voiceguard.lab.evaluation.plan import Plan
from voiceguard.lab.evaluation.report.encoder_tables import encoder_tables, plain_evaluation
from voiceguard.lab.evaluation.report.tables import eer_table
from voiceguard.lab.evaluation.run import Request, labelled, run
from voiceguard.lab.fitting.metrics import eer
from voiceguard.lab.fitting.trials import Kind
from voiceguard.scoring.snorm import Cohort

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from voiceguard.lab.corpora.corpus import Corpus
    from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation
    from voiceguard.service.kit import Kit
    from voiceguard.types import Embedding, Samples

DEAF_ID = "d" * 16


class DeafEncoder(PitchEncoder):
    """Hears half of what is to be heard: the rest of its embedding is by chance."""

    def __init__(self, share: float = 0.5) -> None:
        super().__init__(DEAF_ID)
        self._share = share

    def embed(self, samples: Samples) -> Embedding:
        rng = np.random.default_rng(int(np.abs(samples).sum() * 1e6) % 2**32)
        chance = rng.standard_normal(32)
        mixed = self._share * super().embed(samples) + chance / np.linalg.norm(chance)
        return np.asarray(mixed / np.linalg.norm(mixed), dtype=np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora: six people with two sessions each, and four of the same voices with one."""
    folder = tmp_path_factory.mktemp("corpora")
    rows = people(6, utterances=5, second_session=2)
    rows += [
        Written(row.speaker, row.session, row.hz, row.seconds, corpus="other")
        for row in people(4, utterances=5, second_session=0)
    ]
    write_corpus(folder, [replace(row, seconds=1.2) for row in rows])
    write_wav(folder / "noise" / "fan.wav", quiet(2, level=0.1))
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Three people with one session each."""
    rows = [replace(row, seconds=1.2) for row in people(3, utterances=4, second_session=0)]
    return read_corpus(write_corpus(tmp_path_factory.mktemp("few"), rows))


def evaluated(
    kits: Mapping[str, Kit], corpus: Corpus, plan: Plan, cache: Path | None = None
) -> EncoderEvaluation:
    """Scores only."""
    request = Request(kits=kits, speech=corpus, plan=plan, with_decisions=False)
    found = run(request, today=date(2026, 11, 21), cache=cache)
    assert found.daemon is None
    return found.encoders


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> EncoderEvaluation:
    plan = Plan(
        lengths_s=(1.0, 2.0),
        max_places=1,
        conditions=(Clean(), Noisy(5.0, [folder / "noise" / "fan.wav"])),
        num_draws=60,
    )
    kits = {
        "pitch": replace(make_kit(), calibration=plain_calibration()),
        "deaf": replace(make_kit(), encoder=DeafEncoder()),
    }
    return evaluated(kits, read_corpus(folder / "manifest.csv"), plan)


def test_everybody_meets_every_test_of_the_corpus(evaluation: EncoderEvaluation) -> None:
    assert evaluation.labels == ("pitch", "deaf")
    assert evaluation.corpora == ("other", "tones")
    assert evaluation.conditions == ("clean", "5 dB")
    assert evaluation.lengths == ("1 s", "2 s", "full")
    assert (evaluation.num_speakers, evaluation.num_enrolled) == (10, 10)
    crops = evaluation.trials("pitch", "clean", "2 s")
    # tones: 6 voiceprints x 6 speakers x 2 sessions; other: 4 x 4
    assert len(crops) == 6 * 12 + 4 * 4
    assert np.count_nonzero(crops.is_target) == 6 * 2 + 4
    whole = evaluation.trials("pitch", "clean", "full", "tones")
    assert len(whole) == 6 * 6 * (2 + 2)  # of five utterances three are enrolled


def test_trials_never_cross_corpora(evaluation: EncoderEvaluation) -> None:
    trials = evaluation.trials("deaf", "5 dB", "full")
    for enrolled, tested in zip(trials.enrolled, trials.tested, strict=True):
        assert str(enrolled).split("/")[0] == str(tested).split("/")[0]
    assert sum(len(trials.of_corpus(name)) for name in evaluation.corpora) == len(trials)


def test_trials_are_the_same_for_every_encoder_length_and_condition(
    evaluation: EncoderEvaluation,
) -> None:
    reference = evaluation.trials("pitch", "clean", "1 s")
    for label in evaluation.labels:
        for condition in evaluation.conditions:
            trials = evaluation.trials(label, condition, "2 s")
            for column in ("enrolled", "tested", "kind"):
                np.testing.assert_array_equal(getattr(trials, column), getattr(reference, column))


def test_sessions_are_told_apart(evaluation: EncoderEvaluation) -> None:
    trials = evaluation.trials("pitch", "clean", "full", "tones")
    for kind in (Kind.SAME_SESSION, Kind.CROSS_SESSION):
        assert len(trials.of_kind(kind)) == 6 * 2
    once = evaluation.trials("pitch", "clean", "full", "other")  # on one occasion, all of them
    assert (len(once.of_kind(Kind.SAME_SESSION)), len(once.of_kind(Kind.CROSS_SESSION))) == (8, 0)
    np.testing.assert_array_equal(trials.is_target, trials.enrolled == trials.tested)


def test_figures_are_those_of_the_trials(evaluation: EncoderEvaluation) -> None:
    for row in evaluation.figures:
        if row.corpus == "mean":
            continue
        trials = evaluation.trials(row.label, row.condition, row.length, row.corpus)
        assert row.eer == eer(trials.target, trials.nontarget)
        assert row.num_target == len(trials.target)
        assert row.num_nontarget == len(trials.nontarget)
        assert row.eer_interval is not None
        assert row.eer_interval[0] <= row.eer_interval[1]
    assert {row.corpus for row in evaluation.figures} == {"mean", "other", "tones"}


def test_each_corpus_counts_the_same_in_the_mean(evaluation: EncoderEvaluation) -> None:
    rows = {
        row.corpus: row
        for row in evaluation.figures
        if (row.label, row.condition, row.length) == ("deaf", "clean", "full")
    }
    assert rows["mean"].eer == pytest.approx((rows["other"].eer + rows["tones"].eer) / 2)
    assert rows["mean"].num_target == rows["other"].num_target + rows["tones"].num_target
    assert rows["mean"].eer_cross_session == rows["tones"].eer_cross_session
    assert rows["other"].eer_cross_session is None


def test_only_a_calibrated_encoder_has_actual_costs(evaluation: EncoderEvaluation) -> None:
    for row in evaluation.figures:
        assert (row.act_dcf is None) == (row.cllr is None) == (row.label == "deaf")
    assert evaluation.scored("pitch", Cell("clean", "1 s")).llrs is not None
    assert evaluation.scored("deaf", Cell("clean", "1 s")).llrs is None


def test_the_better_encoder_is_better_with_certainty(evaluation: EncoderEvaluation) -> None:
    rows = {(row.condition, row.length): row for row in evaluation.comparisons}
    assert set(rows) == {
        (condition, length)
        for condition in ("clean", "5 dB")
        for length in ("1-2 s", "1 s", "2 s", "full")
    }
    clean = rows["clean", "1-2 s"]
    assert (clean.first, clean.other) == ("pitch", "deaf")
    assert clean.eer_first < 0.05
    assert clean.eer_other > 0.1
    assert clean.relative_difference is not None
    assert clean.relative_difference < -0.5
    assert clean.is_certain


def test_an_encoder_does_not_differ_from_itself(few: Corpus) -> None:
    deaf = replace(make_kit(), encoder=DeafEncoder(0.2))
    plan = Plan(lengths_s=(1.0,), with_whole=False, max_places=1, num_draws=40)
    result = evaluated({"one": deaf, "same": deaf}, few, plan)
    assert result.lengths == ("1 s",)
    for row in result.comparisons:
        assert row.relative_difference == 0.0
        assert row.interval == (0.0, 0.0)  # paired: not even chance sets them apart
        assert not row.is_certain


def test_a_cohort_adds_rows_and_leaves_the_cosines_alone(few: Corpus) -> None:
    encoder = PitchEncoder()
    strangers = np.abs(np.random.default_rng(5).standard_normal((20, 32))).astype(np.float32)
    cohort = Cohort(
        embeddings=strangers / np.linalg.norm(strangers, axis=1, keepdims=True),
        encoder_id=encoder.info.encoder_id,
        top_k=10,
    )
    plan = Plan(lengths_s=(1.0,), max_places=1, num_draws=10)
    normalised = replace(
        make_kit(), encoder=encoder, cohort=cohort, calibration=plain_calibration()
    )
    result = evaluated({"with": normalised, "without": make_kit()}, few, plan)
    assert {(row.label, row.scoring) for row in result.figures} == {
        ("with", "cosine"), ("with", "s-norm"), ("without", "cosine"),
    }  # fmt: skip
    ours, theirs = (result.scored(label, Cell("clean", "1 s")) for label in ("with", "without"))
    np.testing.assert_array_equal(ours.cosine.score, theirs.cosine.score)
    assert ours.normalised is not None
    assert ours.normalised.score.std() > 2 * ours.cosine.score.std()
    # that calibration was fitted to cosines
    calibrated = {row.scoring for row in result.figures if row.cllr is not None}
    assert calibrated == {"cosine"}


def test_two_encoders_need_two_names() -> None:
    with pytest.raises(UsageError, match="a name of its own, not fake, fake"):
        labelled([make_kit(), make_kit()])


def test_crops_too_short_for_an_encoder_are_refused(few: Corpus) -> None:
    plan = Plan(lengths_s=(0.05, 1.0))
    with pytest.raises(UsageError, match=r"0\.05 s are too short: encoder pitch needs"):
        evaluated({"pitch": make_kit()}, few, plan)


def test_nobody_to_enroll_is_an_error(tmp_path: Path) -> None:
    corpus = read_corpus(write_corpus(tmp_path, people(3, utterances=2, second_session=0)))
    with pytest.raises(UsageError, match="0 speakers could be enrolled"):
        evaluated({"pitch": make_kit()}, corpus, Plan())


def test_unreadable_and_silent_files_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, people(2, utterances=7, second_session=0))
    (tmp_path / "tones" / "s00" / "0.wav").write_bytes(b"not audio at all")
    write_wav(tmp_path / "tones" / "s00" / "1.wav", quiet(2))
    plan = Plan(lengths_s=(1.0,), num_draws=10)
    result = evaluated({"pitch": make_kit()}, read_corpus(manifest), plan)
    assert [skip.path.name for skip in result.skips] == ["0.wav", "1.wav"]
    assert result.num_enrolled == 2


def test_nothing_is_embedded_twice_where_it_can_be_remembered(few: Corpus, tmp_path: Path) -> None:
    plan = Plan(lengths_s=(1.0,), max_places=1, num_draws=10)
    first = evaluated({"pitch": make_kit()}, few, plan, cache=tmp_path / "cache")
    encoder = PitchEncoder()
    again = evaluated(
        {"pitch": replace(make_kit(), encoder=encoder)}, few, plan, cache=tmp_path / "cache"
    )
    assert encoder.num_calls == 26  # for its timing alone
    assert again.figures == first.figures


def test_a_plan_must_make_sense() -> None:
    with pytest.raises(ValueError, match="a name each"):
        Plan(conditions=(Clean(), Clean()))
    with pytest.raises(ValueError, match="at least 1"):
        Plan(num_enroll=0)
    with pytest.raises(ValueError, match="lengths_s must be positive"):
        Plan(lengths_s=())


def test_cost_is_the_median_of_cpu_time() -> None:
    ticks = iter([0.0, 0.010, 1.0, 1.012, 2.0, 2.500])
    (cost,) = measure_costs({"pitch": PitchEncoder()}, num_timed=3, cpu_s=lambda: next(ticks))
    assert cost.cpu_ms == pytest.approx(12)
    assert (cost.label, cost.embedding_dim) == ("pitch", 32)


def test_its_tables_fit_a_narrow_terminal(
    evaluation: EncoderEvaluation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def show() -> None:
        for table in (eer_table(evaluation), *encoder_tables(evaluation)):
            print_table(table)

    check_fits(show, monkeypatch, capsys)


def test_the_report_says_it_all(evaluation: EncoderEvaluation) -> None:
    out = StringIO()
    console = Console(file=out, width=200)
    for table in encoder_tables(evaluation):
        console.print(table)
    text = out.getvalue()
    for words in ("pitch", "deaf", "5 dB", "full", "mean", "1-2 s", "CPU ms", DEAF_ID):
        assert words in text
    plain = json.loads(json.dumps(plain_evaluation(evaluation), allow_nan=False))
    assert len(plain["figures"]) == 2 * 2 * 3 * 3  # encoders, conditions, lengths, corpora + mean
    assert plain["comparisons"][0]["is_certain"] is True
    assert plain["encoders"][1]["encoder_id"] == DEAF_ID
