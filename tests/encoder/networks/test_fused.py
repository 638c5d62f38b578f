"""The fast path gives what the plain network gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from tests.encoder.conftest import random_network, tiny_config
from tests.encoder.networks.test_ecapa_tdnn import SIZES
from voiceguard.encoder.networks.fused import KEPT_FRAMES, FusedEcapaTdnn

if TYPE_CHECKING:
    from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, relative to the largest entry."""
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES.keys())
@torch.inference_mode()
def test_it_equals_the_plain_network_for_any_sizes_and_lengths(config: EcapaTdnnConfig) -> None:
    network = random_network(config)
    fused = FusedEcapaTdnn(network)
    for num_frames in (config.min_frames, 300, 61, KEPT_FRAMES + 100, 300):
        features = torch.randn(config.num_mels, num_frames)
        found = fused(features)
        assert found.shape == (config.embedding_dim,)
        assert relative_error(found, network(features[None])[0]) < 1e-5


@torch.inference_mode()
def test_it_equals_the_plain_network_on_constant_input() -> None:
    """Where every standard deviation is 0 and cancellation would show."""
    network = random_network(tiny_config())
    features = torch.full((12, 80), 0.5)
    assert relative_error(FusedEcapaTdnn(network)(features), network(features[None])[0]) < 1e-5


@torch.inference_mode()
def test_later_calls_leave_earlier_results_alone() -> None:
    """Intermediate buffers are reused; what was returned is not one of them."""
    fused = FusedEcapaTdnn(random_network(tiny_config()))
    first = fused(torch.randn(12, 80))
    copy = first.clone()
    fused(torch.randn(12, 80))
    assert torch.equal(first, copy)


@torch.inference_mode()
def test_a_long_recording_leaves_no_memory_behind() -> None:
    fused = FusedEcapaTdnn(random_network(tiny_config()))
    fused(torch.randn(12, KEPT_FRAMES))
    before = sum(buffer.numel() for buffer in fused._buffers._kept.values())
    fused(torch.randn(12, 20 * KEPT_FRAMES))
    assert sum(buffer.numel() for buffer in fused._buffers._kept.values()) == before > 0


def test_the_network_itself_is_not_changed() -> None:
    network = random_network(tiny_config())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.inference_mode():
        FusedEcapaTdnn(network)(torch.randn(12, 80))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
