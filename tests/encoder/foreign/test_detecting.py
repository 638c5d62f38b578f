"""The format of a checkpoint is found, or what was looked for is told."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

from tests.encoder.foreign.made import PARITY, make_speechbrain, make_taoruijie, needs_parity
from voiceguard.encoder.foreign import detecting
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", detecting.READERS)
def test_every_reader_is_there(name: str) -> None:
    reader = importlib.import_module(f"voiceguard.encoder.foreign.{name}")
    assert reader.NAME
    assert callable(reader.read)


def test_a_format_is_found_by_its_content(tmp_path: Path) -> None:
    speechbrain = make_speechbrain(tmp_path / "a")
    taoruijie = make_taoruijie(tmp_path / "b.ckpt")
    assert detecting.reader_of(speechbrain).NAME == "SpeechBrain"
    assert "TaoRuijie" in detecting.reader_of(taoruijie).NAME
    assert "TaoRuijie" in detecting.read(taoruijie).origin_format


@needs_parity
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("speechbrain", "SpeechBrain"),
        ("taoruijie/pretrain.model", "TaoRuijie"),
        ("nemo-titanet/titanet.nemo", "NeMo"),
        ("nemo-speakernet/speakernet.nemo", "NeMo"),
        ("nemo-ecapa_tdnn/ecapa_tdnn.nemo", "NeMo"),
    ],
)
def test_real_layouts_are_recognised(path: str, name: str) -> None:
    assert name in detecting.reader_of(PARITY / path).NAME


def test_what_is_no_encoder_is_told_what_was_looked_for(tmp_path: Path) -> None:
    for name, content in (("a.pt", b""), ("b.onnx", b"?"), ("c.nemo", b"\x80"), ("d.txt", b"text")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(EncoderError) as caught:
            detecting.read(path)
        assert str(path) in str(caught.value)
    (empty := tmp_path / "empty").mkdir()  # a folder with one .nemo in it is that file
    for each in detecting.READERS.values():
        with pytest.raises(EncoderError) as caught:
            detecting.reader_of(empty)
        assert each in str(caught.value)
    with pytest.raises(EncoderError, match="no file or directory /nowhere"):
        detecting.reader_of(tmp_path / "/nowhere")
