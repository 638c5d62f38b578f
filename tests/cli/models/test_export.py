"""``voiceguard models export``: the default encoder as ONNX."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from voiceguard.cli.models.bring import import_model
from voiceguard.cli.models.export import export_command
from voiceguard.encoder.export.onnx_file import Placement
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.foreign.programs.sidecar import read_sidecar
from voiceguard.encoder.library import stated_encoder_id
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state directory, a configuration and a current directory of its own."""
    monkeypatch.setenv("VOICEGUARD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.chdir(tmp_path)


def test_the_default_encoder_is_exported_and_readable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "default.onnx"
    export_command(out=out, features=Placement.INSIDE, json_lines=True)
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(out)
    assert told["encoder"] == stated_encoder_id("default")
    assert told["num_bytes"] == out.stat().st_size
    assert told["max_relative_error"] < 1e-4
    assert told["checked_s"] == [0.5, 1.0, 2.37, 4.0]
    card = detecting.read(out)
    assert card.architecture.embedding_dim == 192
    assert card.features.TYPE == "waveform"


def test_without_a_path_it_is_named_after_the_encoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export_command()
    (path,) = tmp_path.glob("*.onnx")
    sidecar = read_sidecar(path)
    assert sidecar is not None
    assert sidecar.features.TYPE == "log_mel"
    shown = capsys.readouterr().out
    for words in (
        path.name,
        "features (batch,bands,time) in",
        "embedding (192) out",
        "ONNX Runtime",
    ):
        assert words in shown


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "default.onnx"
    full = ("prlimit", "--fsize=100000")  # enough for the sidecar
    done = voiceguard("models", "export", "--out", out, state=tmp_path / "state", prefix=full)
    assert done.returncode == 1, done.stderr
    assert f"cannot write {out}: File too large" in done.stderr
    assert "--out" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_program_has_no_weights_to_export(tmp_path: Path) -> None:
    export_command(out=tmp_path / "default.onnx")
    import_model(tmp_path / "default.onnx", name="program")
    with pytest.raises(EncoderError, match="there are no weights to export"):
        export_command(out=tmp_path / "again.onnx", model="program")


def test_the_option_and_the_function_know_the_same_places() -> None:
    assert [each.value for each in Placement] == [each.value for each in Placement]
