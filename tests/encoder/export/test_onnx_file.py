"""Export to ONNX: the same numbers, at any length, and back again."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.encoder.conftest import random_network, synthetic_voice, tiny_config
from voiceguard.encoder import installing
from voiceguard.encoder.card.model_card import ModelCard
from voiceguard.encoder.card.program_config import Layout
from voiceguard.encoder.export.onnx_file import MAX_RELATIVE_ERROR, Placement, export_onnx
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.foreign.programs.sidecar import read_sidecar
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.encoder.frontends.log_mel import LogMel
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn
from voiceguard.errors import EncoderError, UsageError, install_command

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig

CONFIG = tiny_config()
NETWORK = random_network(CONFIG)
VOICE = torch.from_numpy(synthetic_voice(4.0))


def card_of(config: EcapaTdnnConfig) -> ModelCard:
    """A card as an installed model has it."""
    return ModelCard(
        name="tiny",
        architecture=config,
        features=LogMelConfig(num_mels=config.num_mels, max_hz=4000.0, fft_samples=1024),
        min_window_s=0.3,
        licence="Apache-2.0",
        trained_on="nothing",
        weights_sha256="0" * 64,
    )


CARD = card_of(CONFIG)


@pytest.mark.parametrize("placement", Placement)
def test_the_file_gives_torchs_numbers_for_any_length_and_batch(
    tmp_path: Path, placement: Placement
) -> None:
    exported = export_onnx(CARD, NETWORK, tmp_path / "tiny.onnx", features=placement)
    assert exported.max_relative_error < 1e-5
    session = onnxruntime.InferenceSession(exported.path.read_bytes())
    name = session.get_inputs()[0].name
    for num_samples in (4800, 16_001, 47_999):
        samples = torch.stack([VOICE[:num_samples], VOICE[-num_samples:]])
        with torch.inference_mode():
            log_mel = LogMel(CARD.features)(samples)  # type: ignore[arg-type]
            expected = NETWORK(log_mel).numpy()
        given = samples if placement is Placement.INSIDE else log_mel
        found = session.run(["embedding"], {name: given.numpy()})[0]
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    "config",
    [
        tiny_config(channels=(16, 24, 24, 16, 24)),  # shortcuts of another width
        tiny_config(global_context=False),
        tiny_config(kernel_sizes=(3, 5, 3, 3, 3), dilations=(2, 1, 1, 1, 2)),
    ],
)
def test_every_variant_of_the_network_is_exported(tmp_path: Path, config: EcapaTdnnConfig) -> None:
    exported = export_onnx(card_of(config), random_network(config), tmp_path / "v.onnx")
    assert exported.max_relative_error < 1e-5


@pytest.mark.parametrize("placement", Placement)
def test_what_was_exported_can_be_imported(tmp_path: Path, placement: Placement) -> None:
    """Its sidecar says everything that is needed, and it is another encoder for voiceprints."""
    exported = export_onnx(CARD, NETWORK, tmp_path / "tiny.onnx", features=placement)
    installing.install(detecting.read(exported.path), "back", tmp_path / "models")
    encoder = load_encoder("back", models_dir=tmp_path / "models")
    samples = VOICE[:30_000]
    with torch.inference_mode():
        log_mel = LogMel(CARD.features)(samples)  # type: ignore[arg-type]
        expected = torch.nn.functional.normalize(NETWORK(log_mel.unsqueeze(0)))[0].numpy()
    np.testing.assert_allclose(encoder.embed(samples.numpy()), expected, atol=1e-4)
    assert encoder.info.encoder_id != CARD.encoder_id
    assert encoder.info.min_window_s == CARD.min_window_s


def test_the_sidecar_and_the_file_say_what_it_is(tmp_path: Path) -> None:
    exported = export_onnx(CARD, NETWORK, tmp_path / "tiny.onnx")
    assert read_sidecar(exported.path) == exported.sidecar
    assert exported.sidecar.layout is Layout.BANDS_TIME
    assert exported.sidecar.features == CARD.features
    assert (exported.sidecar.licence, exported.sidecar.trained_on) == ("Apache-2.0", "nothing")
    assert exported.num_bytes == exported.path.stat().st_size
    model = onnx.load(exported.path)
    onnx.checker.check_model(model, full_check=True)
    props = {entry.key: entry.value for entry in model.metadata_props}
    assert (props["encoder_id"], props["output_dim"]) == (CARD.encoder_id, "8")


class Otherwise(EcapaTdnn):
    """A network whose layers aren't all that it computes."""

    def forward(self, features: Tensor) -> Tensor:
        """A little more than its layers give."""
        return super().forward(features) * (1 + 3 * MAX_RELATIVE_ERROR)


def test_a_file_that_gives_other_numbers_is_not_written(tmp_path: Path) -> None:
    network = Otherwise(CONFIG).eval()
    network.load_state_dict(NETWORK.state_dict())
    with pytest.raises(EncoderError, match=r"differs from torch's by 0\.003 of .* nothing was"):
        export_onnx(CARD, network, tmp_path / "tiny.onnx")
    assert list(tmp_path.iterdir()) == []


def test_nor_is_one_that_gives_no_numbers(tmp_path: Path) -> None:
    network = random_network(CONFIG)
    with torch.no_grad():
        network.projection.bias.fill_(float("nan"))
    with pytest.raises(EncoderError, match="nothing was written"):
        export_onnx(CARD, network, tmp_path / "tiny.onnx")
    assert list(tmp_path.iterdir()) == []


def test_other_features_stay_outside(tmp_path: Path) -> None:
    card = replace(CARD, features=KaldiFbankConfig(num_bands=CONFIG.num_mels))
    with pytest.raises(
        EncoderError, match="'kaldi_fbank'; only voiceguard's own log_mel"
    ) as caught:
        export_onnx(card, NETWORK, tmp_path / "tiny.onnx", features=Placement.INSIDE)
    assert "--features outside" in caught.value.hint
    exported = export_onnx(card, NETWORK, tmp_path / "tiny.onnx")
    assert exported.sidecar.features == card.features


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="only an ECAPA-TDNN"):
        export_onnx(CARD, torch.nn.Identity(), tmp_path / "tiny.onnx")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    export_onnx(CARD, NETWORK, tmp_path / "tiny.onnx")
    with pytest.raises(UsageError, match=r"tiny\.onnx exists already"):
        export_onnx(CARD, NETWORK, tmp_path / "tiny.onnx")
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(UsageError, match=r"tiny\.onnx\.json exists already"):
        export_onnx(CARD, NETWORK, tmp_path / "tiny.onnx")


@pytest.mark.parametrize(
    ("name", "message"),
    [("tiny.pt", r"is not called \*\.onnx"), ("no/tiny.onnx", "there is no directory")],
)
def test_where_it_cannot_be_written_is_told_first(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        export_onnx(CARD, NETWORK, tmp_path / name)


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as if it were not installed
    with pytest.raises(EncoderError, match="needs the package onnxruntime") as caught:
        export_onnx(CARD, NETWORK, tmp_path / "tiny.onnx")
    assert caught.value.hint == f"run: {install_command('onnxruntime')}"
