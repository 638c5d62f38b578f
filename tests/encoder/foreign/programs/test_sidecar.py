"""The sidecar: what it says is read, and nothing that it doesn't is guessed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.encoder.made_programs import DIM, describe
from voiceguard.encoder.card.program_config import Layout
from voiceguard.encoder.foreign.programs.sidecar import Sidecar, read_sidecar, sidecar_path
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

KALDI = {"layout": "batch,time,bands", "features": {"type": "kaldi_fbank", "window": "hamming"}}


def test_no_sidecar_is_none(tmp_path: Path) -> None:
    assert read_sidecar(tmp_path / "model.onnx") is None


def test_every_field_is_read(tmp_path: Path) -> None:
    program = tmp_path / "model.onnx"
    describe(
        program,
        **KALDI,
        input="feats",
        output="embs",
        min_seconds=1,
        commercial_use=False,
        source="https://example.org/model",
        published="EER 1 %",
    )
    assert read_sidecar(program) == Sidecar(
        layout=Layout.TIME_BANDS,
        features=KaldiFbankConfig(window="hamming"),
        embedding_dim=DIM,
        min_seconds=1,
        licence="MIT",
        trained_on="nothing",
        input="feats",
        output="embs",
        commercial_use=False,
        source="https://example.org/model",
        published="EER 1 %",
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    program = tmp_path / "model.onnx"
    sidecar = Sidecar(
        layout=Layout.BANDS_TIME,
        features=LogMelConfig(num_mels=40),
        embedding_dim=3,
        min_seconds=0.25,
        licence="CC0-1.0",
        trained_on="ひとつ",
        input="x",
    )
    sidecar_path(program).write_text(sidecar.to_text(), "utf-8")
    assert read_sidecar(program) == sidecar


def test_parameters_of_the_features_that_are_left_out_have_their_defaults(tmp_path: Path) -> None:
    program = tmp_path / "model.onnx"
    features = {"type": "kaldi_fbank", "window": "hamming", "sample_scale": 32768}
    describe(program, layout="batch,time,bands", features=features)
    sidecar = read_sidecar(program)
    assert sidecar is not None
    assert sidecar.features == KaldiFbankConfig(window="hamming", sample_scale=32768.0)


@pytest.mark.parametrize(
    ("seconds", "frames"), [(0.5, 50), (0.29, 29), (0.307, 30), (0.01, 1), (1.0, 100)]
)
def test_the_shortest_input_is_rounded_down_to_frames(
    tmp_path: Path, seconds: float, frames: int
) -> None:
    describe(tmp_path / "model.pt", min_seconds=seconds)
    sidecar = read_sidecar(tmp_path / "model.pt")
    assert sidecar is not None
    assert sidecar.min_frames == frames


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "format must be 'voiceguard-program'"),
        ({"format_version": 2}, "format_version 1"),
        ({"licence": None}, "licence is missing"),
        ({"licence": ""}, "must say something"),
        ({"licens": "MIT"}, "licens is unknown; known are input, layout"),
        ({"layout": "time"}, "layout must be 'batch,time,bands', .* not 'time'"),
        ({"layout": "batch,time,bands"}, "contradict each other"),
        ({"features": {"type": "kaldi_fbank"}}, "contradict each other"),
        ({"features": {"type": "mfcc"}}, "features: type is 'mfcc', not one of log_mel"),
        ({"features": {}}, "features: type is None"),
        ({"features": []}, "features: must be a table"),
        (
            {**KALDI, "features": {"type": "kaldi_fbank", "bins": 80}},
            "bins is unknown; known are num_bands",
        ),
        (
            {**KALDI, "features": {"type": "kaldi_fbank", "num_bands": "80"}},
            "num_bands must be a whole number, not '80'",
        ),
        (
            {**KALDI, "features": {"type": "kaldi_fbank", "num_bands": True}},
            "num_bands must be a whole number, not True",
        ),
        ({**KALDI, "features": {"type": "kaldi_fbank", "window": "hann"}}, "not 'hann'"),
        ({**KALDI, "features": {"type": "kaldi_fbank", "version": "9"}}, "are version '9'"),
        ({"embedding_dim": 0}, "embedding_dim must be between 1 and 8192"),
        ({"embedding_dim": "192"}, "embedding_dim must be a whole number, not '192'"),
        ({"embedding_dim": True}, "embedding_dim must be a whole number, not True"),
        ({"min_seconds": 0}, "min_seconds must be between 0.01 and 30"),
        ({"min_seconds": float("nan")}, "NaN is not a number"),
        ({**KALDI, "min_seconds": 0.02}, r"min_seconds must be at least 0\.025, one frame"),
        (
            {**KALDI, "features": {"type": "log_mel"}, "min_seconds": 0.03},
            r"min_seconds must be at least 0\.032, one frame",
        ),
        *(
            ({**KALDI, "features": {"type": kind, **values}}, message)
            for kind in ("log_mel", "taoruijie_mel")
            for values, message in (
                ({"num_mels": 10**7}, "num_mels must be between 1 and 512, not 10000000"),
                ({"fft_samples": -5}, "in transforms of -5 are not supported"),
                ({"max_hz": 9000.0}, "bands must lie between 0 and 8000 Hz"),
                ({"floor": 0.0}, "floor must be above 0 and at most 1"),
            )
        ),
        ({"commercial_use": "no"}, "commercial_use must be true or false, not 'no'"),
    ],
)
def test_a_wrong_sidecar_is_refused_by_field(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    program = tmp_path / "model.onnx"
    describe(program, **changes)
    with pytest.raises(EncoderError, match=message) as caught:
        read_sidecar(program)
    assert str(sidecar_path(program)) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"),
        (b"[]", "one JSON object"),
        (b'{"format": "voiceguard-program"', "Expecting"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[" * 60_000, "does not describe .*: it is nested deeper"),
        (json.dumps({"format": "x" * 70_000}).encode(), "larger than 65536 bytes"),
    ],
)
def test_what_is_no_sidecar_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    program = tmp_path / "model.onnx"
    sidecar_path(program).write_bytes(content)
    with pytest.raises(EncoderError, match=message):
        read_sidecar(program)
