"""The graphs that voiceguard itself runs give what the networks give, whatever their sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.encoder.export.test_campplus_graph import CONFIG
from tests.encoder.networks.test_campplus import features, tiny_campplus
from voiceguard.encoder.export import campplus_frames, ecapa_frames
from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig
from voiceguard.encoder.running.onnx_session import OnnxSession

if TYPE_CHECKING:
    from torch import nn

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

TINY = EcapaTdnnConfig(
    num_mels=16,
    channels=(16, 16, 16, 24),
    kernel_sizes=(5, 3, 3, 1),
    dilations=(1, 2, 3, 1),
    res2net_scale=4,
    se_channels=8,
    attention_channels=8,
    embedding_dim=8,
)
SIZES = {
    "as shipped": TINY,
    "no context": replace(TINY, global_context=False),
    "widths that change": replace(TINY, channels=(16, 24, 32, 40)),
    "an aggregation that sees more": replace(TINY, kernel_sizes=(3, 5, 3, 3)),
    "few channels": replace(TINY, channels=(4, 4, 3), kernel_sizes=(3, 3, 1), dilations=(1, 2, 1)),
}


def arrays(network: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def trained(config: EcapaTdnnConfig, *, sharpness: float = 1.0) -> nn.Module:
    """A network whose normalisations have signs, sizes and shifts of every kind."""
    torch.manual_seed(7)
    network = config.build().eval()
    for name, tensor in network.state_dict().items():
        if name.endswith("norm.weight"):
            tensor.normal_()
            tensor[::5] = 0.0
        elif name.endswith(("norm.bias", "running_mean")):
            tensor.normal_()
        elif name.endswith("running_var"):
            tensor.uniform_(0.3, 3.0)
    network.state_dict()["pooling.scores.weight"].mul_(sharpness)
    return network


@torch.inference_mode()
def assert_same(model: bytes, network: nn.Module, num_bands: int) -> None:
    onnx.checker.check_model(onnx.load_from_string(model))
    session = OnnxSession(model, "it", device="cpu", num_threads=1)
    for num_frames in (12, 100, 201, 350):
        given = features(1, num_bands, num_frames)
        expected = network(given).numpy()
        found = session.run(np.ascontiguousarray(given[0].T.numpy()))
        np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("size", SIZES)
def test_an_ecapa_tdnn(size: str) -> None:
    network = trained(SIZES[size])
    assert_same(ecapa_frames.onnx_model(SIZES[size], arrays(network)), network, 16)


def test_an_attention_that_is_sure_of_itself_overflows_nothing() -> None:
    network = trained(TINY, sharpness=400.0)
    assert_same(ecapa_frames.onnx_model(TINY, arrays(network)), network, 16)


def test_a_campplus() -> None:
    network = tiny_campplus()
    assert_same(campplus_frames.onnx_model(CONFIG, arrays(network)), network, 16)


def test_a_campplus_whose_scales_have_both_signs() -> None:
    network = tiny_campplus()
    for name, tensor in network.state_dict().items():
        if "norm" in name and name.endswith("weight"):
            tensor[::3] *= -1
            tensor[1] = 0.0
    assert_same(campplus_frames.onnx_model(CONFIG, arrays(network)), network, 16)


def test_a_kernel_of_another_width_than_the_card_says_is_refused() -> None:
    wider = replace(TINY, kernel_sizes=(3, 3, 3, 1))
    with pytest.raises(ValueError, match="input_layer is 5 frames wide, not 3"):
        ecapa_frames.onnx_model(wider, arrays(trained(TINY)))
