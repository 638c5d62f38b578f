"""Pins anew: run this only where a change of what is pinned is meant, and say so in the commit.

::

    python -m tests.pinned.update            # expected/: figures, payloads, help, settings
    python -m tests.pinned.update --state    # state/ and exported.voiceguard as well
    python -m tests.pinned.update --model    # model/ too, and so all of it

The others are hardly ever right: the state directory is there because older code wrote it. It
holds, all of synthetic voices (`sounds.py`):

- ``ada``, ``ben``: of the encoder in ``model/``
- ``eve``: of the imported ONNX encoder ``small`` in ``state/models``, which has no calibration
- ``cleo``: of the encoder that was shipped then, with kept audio; ``dora``: without
- a history with one decision of every kind, and the key

``exported.voiceguard`` holds ``ada`` and ``cleo``, with audio, under `product.PASSPHRASE`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.pinned.inside import write_history
from tests.pinned.product import EXPORTED, HERE, MODEL, PASSPHRASE, STATE, UPDATE_VARIABLE
from tests.pinned.product import voiceguard as run
from tests.pinned.sounds import SPEAKERS, utterance, write_corpus, write_noise, write_wav

LEARNT, FITTED = range(100, 140), range(140, 160)
"""Speakers that the model in ``model/`` learnt, and those that its calibration is fitted to."""
TAKE_S = 3.0
NUM_BANDS, DIM = 80, 8


def voiceguard(*arguments: str | Path, state: Path) -> None:
    """Runs a command that must succeed."""
    done = run(*arguments, state=state)
    if done.returncode != 0:
        sys.exit(f"voiceguard {' '.join(map(str, arguments))}:\n{done.stderr}")


def make_model(folder: Path, work: Path) -> None:
    """Trains the small encoder for a minute, and fits its cohort and calibration."""
    corpus = write_corpus(work / "learnt", LEARNT, seconds=2.0)
    recipe = {
        "channels": 8, "batch_s": 24, "crop_s": [0.5, 1.5], "num_voices": 1, "teacher": "none",
        "heldout_share": 0.1, "augment.p_room": 0, "aam_weight": 1,
    }  # fmt: skip
    options = [f"--set={name}={value}" for name, value in recipe.items()]
    voiceguard(
        *("train", corpus, "--out", work / "tiny", "--steps", "250", "--device", "cpu"),
        *("--threads", "1", "--heldout-every", "250", "--licence", "CC0-1.0", *options),
        state=work / "state",
    )
    folder.mkdir()
    for name in ("tiny.safetensors", "tiny.json"):
        shutil.copy(work / "tiny" / name, folder / name)
    card = json.loads((folder / "tiny.json").read_text(encoding="utf-8"))
    card["figures"] = []  # they hold the paths of this run
    (folder / "tiny.json").write_text(json.dumps(card) + "\n", encoding="utf-8")
    model = ("--model", folder / "tiny.safetensors")
    voiceguard("cohort", corpus, *model, "--min-seconds", "1.5", state=work / "state")
    fitted = write_corpus(work / "fitted", FITTED)
    noise = write_noise(work / "noise")
    voiceguard(
        *("calibrate", fitted, *model, "--from-scratch", "--noise", noise),
        *("--out", folder / "tiny.calibration.json"),
        state=work / "state",
    )


def make_program(path: Path) -> Path:
    """An ONNX graph of mean and spread of 80 log-mel bands over time, turned to 8 numbers."""
    weights = np.random.default_rng(3).normal(size=(NUM_BANDS, DIM)).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["feats"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("ReduceL2", ["feats"], ["size"], axes=[1], keepdims=0),
        helper.make_node("Add", ["mean", "size"], ["both"]),
        helper.make_node("MatMul", ["both", "weights"], ["embs"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("feats", TensorProto.FLOAT, ("B", "T", NUM_BANDS))],
        [helper.make_tensor_value_info("embs", TensorProto.FLOAT, ("B", DIM))],
        [numpy_helper.from_array(weights, "weights")],
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="tests"
    )
    path.write_bytes(made.SerializeToString())
    described = {
        "format": "voiceguard-program", "format_version": 1, "layout": "batch,time,bands",
        "features": {"type": "kaldi_fbank", "window": "hamming", "sample_scale": 32768},
        "embedding_dim": DIM, "min_seconds": 0.5, "licence": "CC0-1.0", "trained_on": "nothing",
    }  # fmt: skip
    path.with_name(path.name + ".json").write_text(json.dumps(described), encoding="utf-8")
    return path


def make_state(state: Path, work: Path) -> None:
    """Enrolls everybody, imports the ONNX encoder, writes the history, exports two."""
    voiceguard("models", "import", make_program(work / "small.onnx"), state=state)
    tiny = ("--model", str(MODEL))
    people: tuple[tuple[str, tuple[str, ...], int, float], ...] = (
        ("ada", tiny, 3, TAKE_S),
        ("ben", tiny, 3, TAKE_S),
        ("eve", ("--model", "small"), 3, TAKE_S),
        ("cleo", ("--keep-audio",), 2, 1.4),  # short, to keep the repository small
        ("dora", (), 3, TAKE_S),
    )
    for name, options, num_takes, seconds in people:
        takes: list[str | Path] = [
            write_wav(work / name / f"{number}.wav", utterance(SPEAKERS[name], number, seconds))
            for number in range(num_takes)
        ]
        voiceguard(
            *("enroll", name, "--from", *takes, "--yes", "--display-name", name.title()),
            *options,
            state=state,
        )
    write_history(state / "history.sqlite3")
    (work / "passphrase").write_text(PASSPHRASE + "\n", encoding="utf-8")
    voiceguard(
        *("voiceprints", "export", "ada", "cleo", "--with-audio", "--yes"),
        *("--passphrase-file", work / "passphrase", "--out", EXPORTED),
        state=state,
    )


def main() -> None:
    """Reads the arguments and pins anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--state", action="store_true", help="the state directory as well")
    parser.add_argument("--model", action="store_true", help="the small encoder as well")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        if asked.model:
            shutil.rmtree(MODEL.parent, ignore_errors=True)
            make_model(MODEL.parent, Path(work))
        if asked.model or asked.state:
            shutil.rmtree(STATE, ignore_errors=True)
            EXPORTED.unlink(missing_ok=True)
            make_state(Path(work) / "state", Path(work))
            shutil.copytree(Path(work) / "state", STATE)
    os.environ[UPDATE_VARIABLE] = "update"
    sys.exit(pytest.main(["-q", "-n0", str(HERE)]))


if __name__ == "__main__":
    main()
