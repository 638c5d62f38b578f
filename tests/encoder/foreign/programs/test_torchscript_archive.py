"""ECAPA2 and other TorchScript files, read without running them."""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.encoder.made_programs import (
    DIM,
    Ecapa2Like,
    FeaturesModule,
    LabelsInAList,
    TwoResults,
    WaveformModule,
    describe,
    save_script,
)
from voiceguard.encoder.card.program_config import Ecapa2Config, Layout, TorchScriptConfig
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.foreign.programs import ecapa2
from voiceguard.encoder.foreign.programs import torchscript as generic
from voiceguard.encoder.foreign.programs.torchscript_archive import is_torchscript, read_archive
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.frontends.waveform import WaveformConfig
from voiceguard.encoder.installing import card_of
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ECAPA2's like, and another module."""
    directory = tmp_path_factory.mktemp("made")
    save_script(directory / "ecapa2.pt", Ecapa2Like())
    save_script(directory / "other.pt", WaveformModule())
    return directory


def test_ecapa2_is_recognised_by_its_labels_under_any_name(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "downloaded.bin"
    shutil.copy(made / "ecapa2.pt", path)
    imported = detecting.read(path)
    card = card_of(imported, "mine")
    assert (card.name, card.architecture, card.features) == (
        "mine",
        Ecapa2Config(),
        WaveformConfig(),
    )
    assert card.architecture.embedding_dim == 192
    assert card.commercial_use is False
    assert not card.is_trusted
    assert "gfe_1 2048, gfe_2 2048, pool 3072, attention 3072, embedding 192" in imported.found[0]
    assert "does not allow commercial use" in imported.found[1]


def test_a_program_that_is_only_called_ecapa2_is_refused(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "ecapa2-copy.pt"
    shutil.copy(made / "other.pt", path)
    assert ecapa2.recognises(path)
    with pytest.raises(EncoderError, match="not ECAPA2: its program nowhere says gfe_1"):
        detecting.read(path)


def test_labels_among_the_constants_are_found_too(tmp_path: Path) -> None:
    """Where a program keeps a list of them, none is in its source."""
    path = save_script(tmp_path / "model.bin", LabelsInAList())
    with zipfile.ZipFile(path) as archive:
        sources = b"".join(archive.read(name) for name in archive.namelist() if "/code/" in name)
    assert b"gfe_1" not in sources
    assert isinstance(detecting.read(path).architecture, Ecapa2Config)


def test_with_a_sidecar_a_program_is_what_that_says(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "ecapa2.pt"
    shutil.copy(made / "ecapa2.pt", path)
    describe(path, embedding_dim=192)
    card = detecting.read(path)
    assert isinstance(card.architecture, TorchScriptConfig)
    assert card.licence == "MIT"


@pytest.mark.parametrize(
    ("changes", "architecture"),
    [
        ({}, TorchScriptConfig(layout=Layout.WAVEFORM, embedding_dim=DIM, min_frames=50)),
        (
            {
                "layout": "batch,bands,time",
                "features": {"type": "log_mel", "num_mels": 40},
                "min_seconds": 0.3,
            },
            TorchScriptConfig(layout=Layout.BANDS_TIME, embedding_dim=DIM, min_frames=30),
        ),
    ],
)
def test_any_other_module_needs_a_sidecar(
    made: Path, tmp_path: Path, changes: dict[str, Any], architecture: TorchScriptConfig
) -> None:
    path = tmp_path / "other.pt"
    shutil.copy(made / "other.pt", path)
    with pytest.raises(EncoderError, match=r"other\.pt\.json is not beside it"):
        detecting.read(path)
    describe(path, **changes)
    card = detecting.read(path)
    assert card.architecture == architecture
    expected = LogMelConfig(num_mels=40) if changes else WaveformConfig()
    assert card.features == expected


def test_a_module_has_no_names(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    shutil.copy(made / "other.pt", path)
    describe(path, input="audio")
    with pytest.raises(EncoderError, match="names an input or output"):
        generic.read(path)


def test_reading_runs_nothing(tmp_path: Path) -> None:
    """A module that fails in every way is read like another: nobody has trusted it yet."""
    path = save_script(tmp_path / "two.pt", TwoResults())
    describe(path)
    assert generic.read(path).program == path


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(made: Path, tmp_path: Path, part: float) -> None:
    content = (made / "other.pt").read_bytes()
    path = tmp_path / "other.pt"
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(EncoderError, match="no encoder of a known format"):
        detecting.read(path)
    describe(path)
    with pytest.raises(EncoderError, match="truncated or damaged"):
        detecting.read(path)


def test_a_flipped_bit_is_found_by_the_archives_check_sums(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "ecapa2.pt"
    with zipfile.ZipFile(made / "ecapa2.pt") as archive:
        largest = max(archive.infolist(), key=lambda member: member.compress_size)
    content = bytearray((made / "ecapa2.pt").read_bytes())
    content[largest.header_offset + 200 + largest.compress_size // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(EncoderError, match=r"is damaged in .*data/|truncated or damaged"):
        ecapa2.read(path)


def test_weights_alone_are_no_program(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.zeros(3)}, path)
    assert not is_torchscript(path)
    with pytest.raises(EncoderError, match="weights without a program"):
        read_archive(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("m/constants.pkl", "m/code/m.py"):
            archive.writestr(name, b"0" * 1000)
    content = path.read_bytes()
    entry = b"PK\x01\x02"  # of the central directory; 20 bytes later the size when unpacked
    head, first, second = content.split(entry)
    sized = [part[:20] + b"\xf0\xff\xff\xff" + part[24:] for part in (first, second)]
    path.write_bytes(entry.join([head, *sized]))
    with pytest.raises(EncoderError, match="would unpack to 2 members of 8589934560 bytes"):
        read_archive(path)


def test_a_module_of_features_is_no_ecapa2(tmp_path: Path) -> None:
    path = save_script(tmp_path / "features.pt", FeaturesModule(80))
    assert not ecapa2.recognises(path)
    assert generic.recognises(path)
