"""CAM++: sizes, padding that changes nothing, half precision, training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import pad

from tests.encoder.foreign.made_campplus import campplus_state
from voiceguard.encoder.card.kinds import read_architecture, typed
from voiceguard.encoder.foreign.threed_speaker import sizes_of, to_native
from voiceguard.encoder.networks.campplus_config import SEGMENT_FRAMES, CamPlusPlusConfig


def tiny_campplus() -> torch.nn.Module:
    """Random in everything, of the smallest sizes that have every part."""
    theirs = campplus_state(block_layers=(2, 3, 2))
    arrays = to_native({name: tensor.numpy() for name, tensor in theirs.items()})
    network = sizes_of(arrays).build()
    network.load_state_dict({name: torch.from_numpy(each) for name, each in arrays.items()})
    return network.eval()


def features(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("num_frames", [3, 48, 199, 2 * SEGMENT_FRAMES, 201, 433])
@torch.inference_mode()
def test_padding_to_a_longer_neighbour_changes_nothing(num_frames: int) -> None:
    network = tiny_campplus()
    one = features(1, 16, num_frames)
    batch = torch.cat([pad(one, (0, 500 - num_frames), value=1e3), features(1, 16, 500)])
    together = network(batch, torch.tensor([num_frames, 500]))
    torch.testing.assert_close(together[:1], network(one), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together[1:], network(batch[1:]), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_the_shortest_input_and_a_constant_one_have_embeddings() -> None:
    network = tiny_campplus()
    for given in (features(1, 16, CamPlusPlusConfig().min_frames), torch.zeros(1, 16, 40)):
        assert network(given).isfinite().all()


@torch.inference_mode()
def test_half_precision_is_near() -> None:
    network, given = tiny_campplus(), features(2, 16, 300)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = network(given)
    assert torch.nn.functional.cosine_similarity(half.float(), network(given)).min() > 0.98


def test_every_weight_can_learn() -> None:
    network = tiny_campplus()
    network.train()
    network(features(4, 16, 120)).square().sum().backward()
    assert all(
        each.grad is not None and each.grad.isfinite().all() for each in network.parameters()
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_bands": 81}, "must be a multiple of 8"),
        ({"growth": 0}, "growth must be between"),
        ({"block_layers": [12, 24]}, "must be of 3 blocks, not 2 and 3"),
        ({"block_layers": [12, 24, 1000]}, "block_layers must be between 1 and 128"),
        ({"head_layers": [1] * 5}, "1 to 4 stages, not 5"),
        ({"kernel_size": 4}, "must be odd"),
        ({"mask_channels": True}, "mask_channels must be a whole number"),
    ],
)
def test_impossible_sizes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_architecture({**typed(CamPlusPlusConfig()), **changes})


def test_sizes_survive_json_and_unknown_ones_are_refused() -> None:
    config = CamPlusPlusConfig(embedding_dim=512)
    assert read_architecture(typed(config)) == config
    with pytest.raises(ValueError, match="heads"):
        read_architecture({**typed(config), "heads": 2})


@pytest.mark.parametrize(
    "config",
    [CamPlusPlusConfig(), CamPlusPlusConfig(head_layers=(1, 3, 2), num_bands=32, growth=5)],
    ids=str,
)
def test_shapes_are_known_without_torch(config: CamPlusPlusConfig) -> None:
    with torch.device("meta"):
        state = config.build().state_dict()
    assert config.shapes() == {name: tuple(tensor.shape) for name, tensor in state.items()}


def test_it_has_as_many_parameters_as_the_published_one() -> None:
    with torch.device("meta"):
        network = CamPlusPlusConfig().build()
    assert sum(each.numel() for each in network.parameters()) == 6_848_544
