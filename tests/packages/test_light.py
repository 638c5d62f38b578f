"""requirements-light.txt is complete, and voiceguard does everything but train without torch."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from packaging.requirements import Requirement

from tests.benchmarks.light import resident_mb
from tests.encoder.foreign.made_campplus import make_campplus
from tests.lab.evaluation.voices import people, write_corpus
from tests.packages import light as requirements
from voiceguard.demo.scene import FOLDER
from voiceguard.encoder import golden
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.installing import install
from voiceguard.encoder.loading import load_encoder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.packages.installation import Installed

MAX_MEMORY_MB = 160
"""149 as measured, 440 with torch (docs/what-was-measured.md)."""
HEARD = str(FOLDER / "scene-4-slt.opus")

EMBEDDED = """
import json, sys
from pathlib import Path
from voiceguard.encoder import golden, load_encoder
found = {}
for name in ("default", "tiny"):
    encoder = load_encoder(name, models_dir=Path(sys.argv[1]))
    assert encoder.info.runtime == "onnx"
    found[name] = [encoder.embed(golden.signal(s)).tolist() for s in (0.8, 2.0, 4.0)]
assert not {"torch", "torchaudio", "onnx"} & set(sys.modules)
print(json.dumps(found))
"""


def test_the_file_names_what_the_packages_ask_for() -> None:
    lines = requirements.FILE.read_text("utf-8").splitlines()
    stated = [Requirement(line) for line in lines if not line.startswith("#")]
    found = {each.name: str(each.marker or "") for each in stated}
    assert found == requirements.closure(), "`make requirements` writes it anew"
    assert all(str(each.specifier).startswith("==") for each in stated)


def test_neither_torch_nor_anything_else_is_missing(light: Installed) -> None:
    code = "import importlib.util as u, sys; sys.exit(any(map(u.find_spec, sys.argv[1:])))"
    light.python(code, "torch", "torchaudio", "onnx", "amqtt")
    pip = [sys.executable, "-m", "pip", f"--python={light.programs / 'python'}", "check"]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    missing = {line.split(" requires ")[1].split(",")[0] for line in done.stdout.splitlines()}
    assert missing <= {"torch", "torchaudio"}, done.stdout


def test_the_demo_runs(light: Installed) -> None:
    *_, summary = map(json.loads, light.voiceguard("demo", "--fast", "--json").stdout.splitlines())
    assert summary["is_success"]


def test_everything_but_training_runs(light: Installed, tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path / "state"))
    takes = map(str, sorted(FOLDER.glob("enroll-*.opus")))
    light.voiceguard("enroll", "robin", "--yes", "--from", *takes, *state)
    assert json.loads(light.voiceguard("verify", "robin", HEARD, "--json", *state).stdout)
    assert json.loads(light.voiceguard("identify", HEARD, "--json", *state).stdout)
    light.voiceguard("embed", HEARD, "--json", *state)
    light.voiceguard("history", *state)
    light.voiceguard("models", "info", "default", *state)
    light.voiceguard("models", "verify", "default", *state)
    light.voiceguard("voiceprints", "list", *state)
    said = light.voiceguard("doctor", "--broker", "none", *state, is_ok=False).stdout
    assert "torch is not installed, and not needed" in said
    assert "run by onnxruntime" in said


def test_an_evaluation_runs(light: Installed, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_corpus(corpus, people(3, utterances=5, second_session=1), spoken=True)
    words = ("--conditions", "clean", "--json", "--state-dir", str(tmp_path / "state"))
    said = json.loads(light.voiceguard("evaluate", str(corpus), *words).stdout)
    assert said["num_speakers"] == 3
    assert {row["condition"] for row in said["figures"]} == {"clean"}
    assert said["daemon"]["calibration"] == "shipped"


def test_training_says_what_is_missing(light: Installed, tmp_path: Path) -> None:
    done = light.voiceguard("train", str(tmp_path), "--out", str(tmp_path / "m"), is_ok=False)
    assert "Traceback" not in done.stderr
    assert "torch" in done.stderr


def test_embeddings_are_torchs(light: Installed, tmp_path: Path) -> None:
    checkpoint = make_campplus(tmp_path / "theirs.pt", block_layers=(2, 3, 2))
    install(detecting.read(checkpoint), "tiny", tmp_path)
    found = json.loads(light.python(EMBEDDED, str(tmp_path)).stdout)
    for name, embeddings in found.items():
        torchs = load_encoder(name, "cpu", models_dir=tmp_path, runtime="torch")
        for seconds, embedding in zip((0.8, 2.0, 4.0), embeddings, strict=True):
            expected = torchs.embed(golden.signal(seconds))
            assert np.abs(embedding - expected).max() <= 1e-4 * np.abs(expected).max()


def test_decisions_are_torchs(light: Installed, installed: Installed, tmp_path: Path) -> None:
    takes = list(map(str, sorted(FOLDER.glob("enroll-*.opus"))))
    decided = []
    for each, name in ((light, "light"), (installed, "torch")):
        state = ("--state-dir", str(tmp_path / name))
        each.voiceguard("enroll", "robin", "--yes", "--from", *takes, *state)
        words = ("run", "--broker", "none", "--source", f"file:{HEARD}", "--fast", "--json")
        decided.append(json.loads(each.voiceguard(*words, *state).stdout.splitlines()[-1]))
    ours, theirs = decided
    assert (ours["outcome"], ours["speaker"]) == (theirs["outcome"], theirs["speaker"])
    assert ours["scores"][0]["llr"] == pytest.approx(theirs["scores"][0]["llr"], abs=1e-3)


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory as Linux counts it")
def test_a_listening_daemon_is_small(light: Installed, tmp_path: Path) -> None:
    words = ("run", "--source", "stdin", "--broker", "none", "--state-dir", str(tmp_path))
    command = [str(light.programs / "voiceguard"), *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as daemon:
        assert daemon.stdin is not None
        speech = np.int16(2**14 * golden.signal(4.0)).tobytes()
        daemon.stdin.write(speech)
        daemon.stdin.flush()
        time.sleep(4)
        memory_mb = resident_mb(daemon.pid)
        daemon.stdin.close()
        daemon.terminate()
    assert memory_mb <= MAX_MEMORY_MB
