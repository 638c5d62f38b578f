"""What is measured, fitted and learnt on a small synthetic corpus.

All with the encoder in ``model/``, so that other shipped weights change nothing here. Figures to
six significant digits: see `product.PORTABLE`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.numpy import load_file

from tests.pinned.product import MODEL, check, copy_of_state, environment, masked, said, voiceguard
from tests.pinned.sounds import write_corpus, write_noise

if TYPE_CHECKING:
    from pathlib import Path

MASKS = dict.fromkeys(("cpu_ms", "version", "path", "crops_per_s", "remaining_s", "model"), "(any)")
"""What differs from run to run, from machine to machine and from release to release."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve speakers, noise, and the pinned state directory for the imported encoder."""
    folder = tmp_path_factory.mktemp("pinned")
    write_corpus(folder / "corpus", range(12))
    write_corpus(folder / "small", range(10), seconds=1.5)
    write_noise(folder / "noise")
    copy_of_state(folder)
    return folder


def test_evaluate(folder: Path) -> None:
    """Two encoders side by side and the daemon's decisions, calibrations fitted here."""
    found = said(
        *("evaluate", folder / "corpus", "--model", MODEL, "--model", "small"),
        *("--noise", folder / "noise", "--conditions", "clean,10 dB,telephone"),
        state=folder / "state",
    )
    check("evaluate.json", masked(found, MASKS))


def test_evaluate_with_the_calibration_beside_the_weights(folder: Path) -> None:
    found = said(
        *("evaluate", folder / "corpus", "--model", MODEL, "--conditions", "clean"),
        *("--calibration", "shipped", "--enroll-utterances", "2"),
        state=folder / "state",
    )
    check("evaluate-shipped.json", masked(found, MASKS))


def test_calibrate(folder: Path) -> None:
    """Corrects the one beside the weights; the file that comes out is pinned too."""
    out = folder / "calibration.json"
    found = said(
        *("calibrate", folder / "corpus", "--model", MODEL, "--noise", folder / "noise"),
        *("--out", out),
        state=folder / "state",
    )
    written = json.loads(out.read_text(encoding="utf-8"))
    check("calibrate.json", masked({"said": found, "file": written}, MASKS | {"created_on": "-"}))


def test_cohort(folder: Path) -> None:
    """The file as well; the ids in it are hashes of the embeddings, to the last bit."""
    found = said(
        *("cohort", folder / "corpus", "--model", MODEL, "--out", folder / "made.safetensors"),
        *("--min-seconds", "2", "--top-k", "7"),
        state=folder / "state",
    )
    tensors = load_file(folder / "made.safetensors")
    file = {name: tensor.ravel()[:40].tolist() for name, tensor in sorted(tensors.items())}
    check("cohort.json", masked({"said": found, "file": file}, MASKS | {"cohort_id": "(a hash)"}))


RECIPE = {
    "channels": 8, "batch_s": 6, "crop_s": [0.5, 1.0], "voices": "rounds", "num_voices": 1,
    "aam_weight": 0.1, "teacher": "none", "large_margin_share": 0.1, "whitening": 0.5,
    "heldout_share": 0.4, "augment.p_room": 0, "augment.p_band_limit": 0.3,
    "augment.p_codec": 0.15, "seed": 5,
}  # fmt: skip
NUM_STEPS = 10


def train(folder: Path, out: str) -> list[str]:
    """The arguments of a run of a few steps."""
    return [
        *("train", str(folder / "small"), "--out", str(folder / out), "--steps", str(NUM_STEPS)),
        *("--heldout-every", "5", "--device", "cpu", "--threads", "1", "--json"),
        *(f"--set={name}={value}" for name, value in RECIPE.items()),
    ]


def test_train(folder: Path) -> None:
    """Losses, held-out figures and card; stopped and gone on with, the same model comes out."""
    done = voiceguard(*train(folder, "once"), state=folder / "state")
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    card = _card(folder, "once")
    check("train.json", masked({"reports": reports, "card": _stable(card)}, MASKS))

    assert 0 < _stop_in_the_middle(folder) < NUM_STEPS
    ended = voiceguard(*train(folder, "twice"), state=folder / "state")
    assert ended.returncode == 0, ended.stderr
    resumed = _card(folder, "twice")
    assert resumed["weights_sha256"] == card["weights_sha256"]
    last = json.loads(ended.stdout.splitlines()[-1])
    assert masked(last, MASKS) == masked(reports[-1], MASKS)


def _card(folder: Path, out: str) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / out / f"{out}.json").read_text(encoding="utf-8"))
    return card


def _stable(card: dict[str, Any]) -> dict[str, Any]:
    """Without what hangs on the last bits, and on where and when it was made."""
    unstable = ("weights_sha256", "golden", "compute", "figures")
    return {name: "(any)" if name in unstable else value for name, value in card.items()}


def _stop_in_the_middle(folder: Path) -> int:
    """Stops a run as systemd would; returns the step at which it stopped."""
    with subprocess.Popen(
        [sys.executable, "-m", "voiceguard", *train(folder, "twice")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(folder / "state"),
        text=True,
    ) as process:
        assert process.stderr is not None
        while "training begins" not in (line := process.stderr.readline()):
            assert line, "it ended before it began"
        process.send_signal(signal.SIGTERM)
        _, said_last = process.communicate(timeout=60)
    assert process.returncode == 130, said_last
    return int(said_last.split("stopped at step ")[1].split()[0])
