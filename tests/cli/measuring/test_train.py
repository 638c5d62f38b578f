"""``voiceguard train`` as a user runs it: on tones, with a recipe that takes a second."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from tests.cli.command import voiceguard
from tests.lab.evaluation.voices import people, write_corpus
from voiceguard.cli.measuring.train import particulars
from voiceguard.encoder.loading import load_encoder
from voiceguard.lab.training.config import TrainingConfig

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.lab.training.run import Run

TINY = [
    *("--device", "cpu", "--threads", "1", "--json"),
    *(f"--set={name}={value}" for name, value in {
        "channels": 8,
        "batch_s": 6,
        "crop_s": [0.5, 1.0],
        "voices": "rounds",
        "num_voices": 2,
        "aam_weight": 0.1,
        "teacher": "none",
        "heldout_share": 0.4,
        "augment.p_room": 0,
    }.items()),
]  # fmt: skip


WITHOUT_TEACHER = ("--set=teacher=none", "--set=voices=rounds")


def corpus(folder: Path, num_speakers: int = 10) -> Path:
    return write_corpus(folder, people(num_speakers, utterances=4, second_session=0))


def test_it_ends_with_a_model_a_plot_and_a_way_on(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    ended = voiceguard(
        "train", corpus(tmp_path), "--out", out, "--steps", "6", *TINY, state=tmp_path
    )

    assert ended.returncode == 0, ended.stderr
    *reports, last = map(json.loads, ended.stdout.splitlines())
    assert reports[-1]["step"] == 6
    assert set(last["eers"]) == set(reports[-1]["eers"])
    assert "10 speakers, 4 of them held out, 12 voices" in ended.stderr
    assert (out / "progress.png").read_bytes().startswith(b"\x89PNG")
    assert load_encoder(last["model"], "cpu").info.name == "mine"


def test_a_stopped_run_says_so_and_goes_on(tmp_path: Path) -> None:
    arguments = ["train", str(corpus(tmp_path)), "--out", str(tmp_path / "mine"), *TINY]
    arguments += ["--steps", "100000", "--heldout-every", "100000"]

    def stopped_at() -> int:
        """Runs until the first report, then stops it as systemd would."""
        with subprocess.Popen(
            [sys.executable, "-m", "voiceguard", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "VOICEGUARD_STATE_DIR": str(tmp_path)},
            text=True,
        ) as process:
            assert process.stdout is not None
            json.loads(process.stdout.readline())
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "interrupted" not in said
        words = said.split("stopped at step ")[1]
        return int(words.split()[0])

    first = stopped_at()
    second = stopped_at()

    assert second > first >= 50


def test_what_the_recipe_does_not_say_is_told() -> None:
    def told(**config: Any) -> str:  # noqa: ANN401 - fields of the recipe
        run = SimpleNamespace(config=TrainingConfig(**config), num_apart=3, student=None)
        return " ".join(particulars(cast("Run", run)))

    assert "3 voices more than labels" in told()
    assert "frames" not in told()
    assert "the teacher's frames are not learnt" in told(frames_weight=0.0)
    assert "frames" not in told(frames_weight=0.0, voices="rounds")


def test_the_recipe_is_shown_without_data(tmp_path: Path) -> None:
    shown = voiceguard("train", "--show-recipe", state=tmp_path)

    assert shown.returncode == 0
    default = json.loads(shown.stdout)
    assert default["augment"]["p_noise"] > 0
    assert default["tuning"] is None
    tuning = voiceguard("train", "--tune", "campplus", "--show-recipe", state=tmp_path)
    assert json.loads(tuning.stdout)["tuning"]["share"] > 0


def test_bad_input_is_told_in_a_sentence(tmp_path: Path) -> None:
    manifest = corpus(tmp_path, num_speakers=3)
    out = ("--out", tmp_path / "out")
    for arguments, code, told in (
        (
            ("train", manifest, *out, "--set=aam_weight=0.1", *WITHOUT_TEACHER),
            2,
            "training needs 10",
        ),
        (("train", tmp_path / "nowhere", *out), 2, "is not there"),
        (("train", manifest, *out, "--set", "loudness=1"), 2, "'loudness'"),
        (("train", manifest, *out, "--precision", "int4"), 2, "precision must be one of"),
        (("train", manifest, "--out", manifest), 1, "cannot be made"),
        (("train", manifest, *out, "--init", tmp_path / "x.safetensors"), 1, "x.json"),
        (("train", manifest, *out, "--set", "teacher=nobody"), 1, "nobody"),
        (("train", manifest, *out, "--tune", "default"), 2, "default is no CAM++"),
    ):
        ended = voiceguard(*arguments, state=tmp_path)
        assert ended.returncode == code, (arguments, ended.stderr)
        assert told in ended.stderr.replace("\n", " ")
        assert "Traceback" not in ended.stderr
