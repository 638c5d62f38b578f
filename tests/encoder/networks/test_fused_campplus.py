"""The fast path gives what the plain network gives."""

from __future__ import annotations

import pytest
import torch

from tests.encoder.networks.test_campplus import features, tiny_campplus
from tests.encoder.networks.test_fused import relative_error
from voiceguard.encoder.networks.campplus import CamPlusPlus
from voiceguard.encoder.networks.campplus_config import CamPlusPlusConfig
from voiceguard.encoder.networks.fused import KEPT_FRAMES
from voiceguard.encoder.networks.fused_campplus import FusedCamPlusPlus


def network() -> CamPlusPlus:
    """With scales of either sign, and of none: each is folded in a way of its own."""
    built = tiny_campplus()
    assert isinstance(built, CamPlusPlus)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for module in built.modules():
            if isinstance(module, torch.nn.BatchNorm1d) and module.affine:
                signs = torch.randint(-1, 3, module.weight.shape, generator=generator).sign()
                module.weight.mul_(signs)
    return built


@torch.inference_mode()
def test_it_equals_the_plain_network_for_any_length() -> None:
    plain = network()
    fused = FusedCamPlusPlus(plain)
    for num_frames in (3, 5, 48, 199, 200, 201, 298, KEPT_FRAMES + 300, 298):
        given = features(16, num_frames)
        found = fused(given)
        assert found.shape == (8,)
        assert relative_error(found, plain(given[None])[0]) < 2e-5, num_frames


@torch.inference_mode()
@pytest.mark.parametrize("kernel_size", [1, 5])
def test_it_equals_the_plain_network_for_other_kernels(kernel_size: int) -> None:
    torch.manual_seed(1)
    config = CamPlusPlusConfig(
        num_bands=8,
        head_channels=4,
        head_layers=(1, 2),
        channels=12,
        block_layers=(1, 2, 1),
        growth=4,
        kernel_size=kernel_size,
        bottleneck_channels=6,
        mask_channels=5,
        transition_channels=(8, 6, 4),
        embedding_dim=7,
    )
    plain = CamPlusPlus(config).eval()
    given = features(8, 120)
    assert relative_error(FusedCamPlusPlus(plain)(given), plain(given[None])[0]) < 2e-5


@torch.inference_mode()
def test_it_equals_the_plain_network_on_constant_input() -> None:
    plain = network()
    given = torch.full((16, 80), 0.5)
    assert relative_error(FusedCamPlusPlus(plain)(given), plain(given[None])[0]) < 2e-5


@torch.inference_mode()
def test_later_calls_leave_earlier_results_alone() -> None:
    fused = FusedCamPlusPlus(network())
    first = fused(features(16, 80))
    copy = first.clone()
    fused(torch.zeros(16, 80))
    assert torch.equal(first, copy)


@torch.inference_mode()
def test_recordings_of_any_length_leave_no_memory_behind() -> None:
    fused = FusedCamPlusPlus(network())
    fused(features(16, 2 * KEPT_FRAMES))
    before = sum(buffer.numel() for buffer in fused._buffers._kept.values())
    fused(features(16, 20 * KEPT_FRAMES))
    assert sum(buffer.numel() for buffer in fused._buffers._kept.values()) == before > 0
    for num_frames in range(10, 300):
        fused._averaging(num_frames, features(1))
    assert len(fused._averages) <= 64
