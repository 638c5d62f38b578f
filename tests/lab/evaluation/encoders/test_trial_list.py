"""Listed trials: read or refused by line, and measured as they are listed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import quiet, tone
from tests.lab.evaluation.voices import make_kit, write_wav
from voiceguard.errors import AudioError, UsageError
from voiceguard.lab.evaluation.encoders.trial_list import read_trial_list
from voiceguard.lab.evaluation.plan import Plan
from voiceguard.lab.evaluation.run import Request, run

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation

LINES = """\
1 id1/video/a.wav id1/video/b.wav
1 id1/video/a.wav id1/other/c.wav

0 id1/video/a.wav id2/video/a.wav
1 id2/video/a.wav id2/video/b.wav
0 id2/video/a.wav id1/other/c.wav
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(
        ("id1/video/a", "id1/video/b", "id1/other/c", "id2/video/a", "id2/video/b")
    ):
        hz = 500.0 if name.startswith("id1") else 1500.0
        audio = np.concatenate([quiet(0.4), tone(hz, 1.5, seed=number), quiet(0.4)])
        write_wav(tmp_path / f"{name}.wav", audio)
    return tmp_path


def write_list(root: Path, text: str = LINES) -> Path:
    path = root / "veri.txt"
    path.write_text(text)
    return path


def evaluate(root: Path, path: Path) -> EncoderEvaluation:
    request = Request(
        kits={"pitch": make_kit()},
        speech=read_trial_list(path, root),
        plan=Plan(num_draws=20),
    )
    found = run(request, today=date(2026, 11, 21))
    assert found.daemon is None
    return found.encoders


def test_exactly_the_listed_trials_are_measured(root: Path) -> None:
    result = evaluate(root, write_list(root))
    trials = result.trials("pitch", "clean", "full")
    assert trials.is_target.tolist() == [True, True, False, True, False]
    assert trials.enrolled.tolist() == [f"veri/id{number}" for number in (1, 1, 1, 2, 2)]
    assert trials.tested.tolist() == [f"veri/id{number}" for number in (1, 1, 2, 2, 1)]
    assert trials.kind is not None
    assert trials.kind.tolist()[:2] == ["same session", "other session"]
    assert trials.target.min() > trials.nontarget.max()
    (row,) = result.figures
    assert (row.corpus, row.length, row.eer) == ("veri", "full", 0)
    assert row.eer_interval == (0.0, 0.0)
    assert result.num_speakers == 2


def test_without_speakers_in_the_paths_there_are_figures_and_no_interval(root: Path) -> None:
    result = evaluate(root, write_list(root, LINES.replace("0 id1", "1 id1")))
    (row,) = result.figures
    assert row.num_target == 4
    assert row.eer_interval is None


def test_unknown_files_are_counted_and_named(root: Path) -> None:
    path = write_list(root, LINES + "0 id3/x/a.wav id4/x/a.wav\n")
    with pytest.raises(UsageError, match=r"names 2 files that are not in .*: id3/x/a.wav, id4/x"):
        read_trial_list(path, root)


@pytest.mark.parametrize("line", ["id1/a.wav id2/b.wav", "2 a.wav b.wav", "1 a.wav b.wav c.wav"])
def test_a_line_that_is_no_trial_is_told_by_number(root: Path, line: str) -> None:
    with pytest.raises(UsageError, match=r"line 7 of trial list .*veri.txt is no trial: '"):
        read_trial_list(write_list(root, LINES + line), root)


def test_both_kinds_of_trial_are_needed(root: Path) -> None:
    with pytest.raises(UsageError, match="has 1 trials and not both kinds"):
        read_trial_list(write_list(root, LINES.splitlines()[0]), root)


def test_a_list_that_is_not_there_is_told(root: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_trial_list(root / "nowhere.txt", root)


def test_a_file_in_which_the_gate_hears_nothing_is_taken_whole(root: Path) -> None:
    write_wav(root / "id2" / "video" / "b.wav", quiet(2))
    assert len(evaluate(root, write_list(root)).trials("pitch", "clean", "full")) == 5


def test_a_file_too_short_to_embed_is_named(root: Path) -> None:
    write_wav(root / "id2" / "video" / "b.wav", tone(500, 0.05))
    with pytest.raises(UsageError, match=r"b.wav lasts 0.05 s; an encoder needs at least 0.1 s"):
        evaluate(root, write_list(root))


def test_a_file_that_is_no_audio_is_an_error(root: Path) -> None:
    (root / "id2" / "video" / "b.wav").write_bytes(b"nothing of the kind")
    with pytest.raises(AudioError):
        evaluate(root, write_list(root))
