"""CAM++ and Kaldi's features as an ONNX graph give what torch gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.encoder.networks.test_campplus import features, tiny_campplus
from voiceguard.encoder import golden
from voiceguard.encoder.card.model_card import ModelCard
from voiceguard.encoder.export.campplus_graph import onnx_model
from voiceguard.encoder.export.graph import FEATURES_INPUT, OUTPUT, WAVEFORM_INPUT
from voiceguard.encoder.export.onnx_file import Placement, export_onnx
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.frontends import kaldi_bands
from voiceguard.encoder.frontends.kaldi import KaldiFbank
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.encoder.frontends.log_mel_config import LogMelConfig
from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig
from voiceguard.encoder.running.onnx_session import open_session
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.export.campplus_graph import Weights

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

CONFIG = CamPlusPlusConfig(
    num_bands=16,
    channels=8,
    block_layers=(2, 3, 2),
    growth=4,
    bottleneck_channels=8,
    mask_channels=4,
    transition_channels=(8, 10, 9),
    embedding_dim=8,
)


def inside(network: torch.nn.Module) -> Weights:
    """Weights in the graph itself."""
    state = network.state_dict()
    return lambda graph, name: graph.constant(state[name].numpy())


@torch.inference_mode()
def test_the_network_is_torchs_for_any_length_and_batch() -> None:
    network = tiny_campplus()
    model = onnx_model(CONFIG, inside(network), None)
    onnx.checker.check_model(onnx.load_from_string(model))
    session, _ = open_session(model, "it")
    for batch, num_frames in ((1, 3), (2, 48), (1, 200), (1, 201), (3, 433)):
        given = features(batch, 16, num_frames)
        (found,) = session.run([OUTPUT], {FEATURES_INPUT: given.numpy()})
        np.testing.assert_allclose(found, network(given).numpy(), atol=2e-5)


@torch.inference_mode()
@pytest.mark.parametrize(
    "config",
    [
        KaldiFbankConfig(num_bands=16),
        KaldiFbankConfig(num_bands=16, window="hamming", sample_scale=32768.0),
        KaldiFbankConfig(num_bands=16, subtract_mean=False, min_hz=60.0, max_hz=7600.0),
    ],
    ids=lambda config: config.version,
)
def test_with_its_features_it_takes_the_waveform(config: KaldiFbankConfig) -> None:
    network, front_end = tiny_campplus(), config.build()
    model = onnx_model(CONFIG, inside(network), config)
    onnx.checker.check_model(onnx.load_from_string(model))
    session, _ = open_session(model, "it")
    voice = golden.signal(2.31)
    faint_under_an_offset = (0.001 * voice + 0.2).astype(np.float32)
    for samples in (voice, voice[:560], faint_under_an_offset):
        (found,) = session.run([OUTPUT], {WAVEFORM_INPUT: samples[None]})
        expected = network(front_end(torch.from_numpy(samples))[None])
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("window", ["povey", "hamming"])
def test_windows_and_bands_are_the_front_ends(window: str) -> None:
    for num_bands in (4, 40, 80, 128):
        config = KaldiFbankConfig(num_bands=num_bands, window=window)
        front_end = config.build()
        assert isinstance(front_end, KaldiFbank)
        bands = front_end.mel_bands.numpy().T
        np.testing.assert_allclose(kaldi_bands.mel_bands(config), bands[:, :-1], atol=5e-5)
        assert not bands[:, -1].any()
        ours = kaldi_bands.frame_window(window)
        np.testing.assert_allclose(ours, front_end.frame_window.numpy(), atol=1e-6)


@pytest.mark.parametrize("placement", Placement)
def test_it_is_exported_to_a_file_that_can_be_imported_again(
    tmp_path: Path, placement: Placement
) -> None:
    card = ModelCard(
        name="tiny",
        architecture=CONFIG,
        features=KaldiFbankConfig(num_bands=16),
        min_window_s=0.5,
        licence="Apache-2.0",
        trained_on="nothing",
        weights_sha256="0" * 64,
    )
    exported = export_onnx(card, tiny_campplus(), tmp_path / "tiny.onnx", features=placement)
    assert exported.max_relative_error < 1e-4
    imported = detecting.read(exported.path)
    assert imported.architecture.embedding_dim == 8
    other = replace(card, features=LogMelConfig(num_mels=16))
    with pytest.raises(EncoderError, match="'log_mel'; only Kaldi's fbank can be put inside"):
        export_onnx(other, tiny_campplus(), tmp_path / "b.onnx", features=Placement.INSIDE)
