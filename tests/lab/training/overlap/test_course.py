"""A run is stopped and goes on as if it had not been."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.encoder.overlap.made_network import SHAPE
from tests.fakes import tone
from tests.lab.evaluation.voices import people, write_corpus, write_wav
from tests.lab.training.overlap.test_teaching import CPU, Nothing, mixer
from voiceguard.encoder.overlap.weights import read_weights
from voiceguard.errors import InterruptedRunError, StateError, UsageError
from voiceguard.lab.training.checkpoint import NAME
from voiceguard.lab.training.overlap.__main__ import main
from voiceguard.lab.training.overlap.course import Course, Told
from voiceguard.lab.training.overlap.learning import Learner, Recipe
from voiceguard.lab.training.trainer import TrainingError

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = Recipe(num_steps=6, batch_s=12.0, learning_rate=0.01, warmup_steps=2)


def learner(recipe: Recipe = RECIPE) -> Learner:
    return Learner(SHAPE, recipe, mixer(Nothing), CPU)


def follow(
    one: Learner, folder: Path, *, until: int | None = None, save_every_s: float = 1e9
) -> list[int]:
    """To the end, or to a step; after which steps it was saved."""
    saved: list[int] = []
    told = Told(
        is_stopped=lambda: one.number == until,
        on_report=lambda _: None,
        on_saved=lambda: saved.append(one.number),
    )
    run = {"recipe": one.recipe.learning_rate}
    is_done = Course(one, folder, run).follow(told, save_every_s=save_every_s)
    assert is_done is (one.number == one.recipe.num_steps)
    return saved


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = learner()
    assert follow(whole, tmp_path / "whole", save_every_s=0.0) == [1, 2, 3, 4, 5, 6]
    assert follow(learner(), tmp_path / "parts", until=2) == [2]
    assert follow(learner(), tmp_path / "parts", until=5) == [5]
    resumed = learner()
    assert follow(resumed, tmp_path / "parts") == [6]

    expected = whole.tensors()
    assert expected.keys() == resumed.tensors().keys()
    for name, tensor in resumed.tensors().items():
        assert torch.equal(tensor, expected[name]), name
    # Of a run that is over the same command makes no step more.
    again = learner()
    follow(again, tmp_path / "parts")
    assert torch.equal(again.tensors()["average.head.bias"], expected["average.head.bias"])


def test_another_runs_folder_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    follow(learner(), tmp_path, until=1)
    with pytest.raises(UsageError, match=r"recipe was 0.01, now 0.02"):
        follow(learner(replace(RECIPE, learning_rate=0.02)), tmp_path)
    (tmp_path / NAME).write_bytes(b"half a check")
    with pytest.raises(StateError, match="damaged"):
        follow(learner(), tmp_path)


def test_a_diverged_run_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    one = learner()
    follow(one, tmp_path, until=2)
    broken = {name: tensor * float("nan") for name, tensor in one.tensors().items()}
    one.resume(broken | {k: v for k, v in one.tensors().items() if k.startswith("opt")}, 2)
    with pytest.raises(TrainingError, match="nan at step 2"):
        one.step()
    after = learner()
    follow(after, tmp_path, until=3)
    assert after.number == 3


class SigtermAtFirstStep(io.StringIO):
    """A terminal of somebody who has seen enough."""

    def write(self, text: str) -> int:
        if text.startswith("step 1/"):
            os.kill(os.getpid(), signal.SIGTERM)
        return super().write(text)


def test_the_command_is_stopped_by_a_signal_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a corpus to a file that the detector reads, in two sittings."""
    pytest.importorskip("pyroomacoustics")
    speech, noise, rooms = (tmp_path / name for name in ("speech", "noise", "rooms"))
    speech.mkdir()
    rows = people(10, utterances=1, second_session=0)
    write_corpus(speech, [replace(row, split="train") for row in rows])
    write_wav(noise / "hum.wav", tone(100.0, 1.0))
    write_wav(rooms / "click.wav", np.eye(1, 4000, 100, dtype=np.float32)[0])
    out = tmp_path / "two.safetensors"
    numbers = [
        "--steps",
        "3",
        "--batch-s",
        "8",
        "--learning-rate",
        "1e-3",
        "--simulated-rooms",
        "1",
        "--device",
        "cpu",
    ]
    places = [str(each) for each in (speech, noise, rooms)]
    monkeypatch.setattr(sys, "argv", ["overlap", *places, *numbers, "--out", str(out)])
    heard = SigtermAtFirstStep()
    with contextlib.redirect_stdout(heard):
        assert main() == InterruptedRunError("").exit_code
    assert "begins" in heard.getvalue()
    assert "stopped at step 1" in capsys.readouterr().err
    assert read_weights(out, hashlib.sha256(out.read_bytes()).hexdigest()).threshold == 0
    assert main() == 0
    told = capsys.readouterr()
    assert "goes on at step 1" in told.out
    assert "reading" not in told.out
    weights = read_weights(out, told.out.split()[-1])
    assert "10 labels (" in weights.trained_on


@pytest.mark.parametrize("words", [["--steps", "0"], ["--batch-s", "-1"], ["--init", "none"]])
def test_numbers_and_files_that_cannot_be_are_named(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["overlap", "a", "b", "c", "--out", str(tmp_path / "o"), *words]
    )
    with contextlib.suppress(SystemExit):  # argparse's way to say it
        assert main() == 2
    told = capsys.readouterr()
    assert words[0] in told.err
    assert not told.out
    assert not list(tmp_path.iterdir())
