"""The network: sizes, shapes, training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from tests.encoder.conftest import random_network, tiny_config
from voiceguard.encoder.card.kinds import read_architecture, typed
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn

if TYPE_CHECKING:
    from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig

SIZES = {
    "tiny": tiny_config(),
    "no global context": tiny_config(global_context=False),
    "two blocks": tiny_config(
        channels=(16, 16, 16, 20), kernel_sizes=(5, 3, 3, 1), dilations=(1, 2, 3, 1)
    ),
    "unequal widths": tiny_config(channels=(8, 16, 24, 32, 40)),
    "wide kernels": tiny_config(kernel_sizes=(7, 5, 5, 3, 3), dilations=(1, 1, 2, 3, 2)),
    "other scale and dimension": tiny_config(res2net_scale=2, embedding_dim=31, num_mels=64),
}


@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES.keys())
def test_any_sizes_give_one_embedding_per_item(config: EcapaTdnnConfig) -> None:
    network = random_network(config)
    for num_frames in (config.min_frames, 50, 81):
        embeddings = network(torch.randn(3, config.num_mels, num_frames))
        assert embeddings.shape == (3, config.embedding_dim)
        assert embeddings.isfinite().all()


def test_an_item_does_not_depend_on_its_batch() -> None:
    """In evaluation mode, batch normalisation uses its running statistics."""
    network = random_network(tiny_config())
    batch = torch.randn(4, 12, 60)
    torch.testing.assert_close(network(batch)[2], network(batch[2:3])[0])


def test_gradients_reach_every_parameter() -> None:
    network = EcapaTdnn(tiny_config(channels=(8, 16, 24, 32, 40))).train()
    network(torch.randn(4, 12, 60)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # k_c of equation 1 cannot matter: the softmax over time cancels it.
        if name != "pooling.scores.bias":
            assert parameter.grad.abs().max() > 0, name


def test_gradients_stay_finite_on_constant_input() -> None:
    """Every standard deviation is then 0, where the square root has an infinite slope."""
    network = EcapaTdnn(tiny_config()).train()
    network(torch.zeros(2, 12, 40)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_training_moves_the_running_statistics_and_evaluation_does_not() -> None:
    network = EcapaTdnn(tiny_config())
    mean = network.input_layer.norm.running_mean
    assert mean is not None
    features = torch.randn(4, 12, 60)
    network.eval()(features)
    assert not mean.any()
    network.train()(features)
    assert mean.any()


def test_sizes_survive_json() -> None:
    config = tiny_config(global_context=False, dilations=(1, 2, 2, 2, 1))
    assert read_architecture(typed(config)) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": (16, 16, 16)}, "one entry per layer"),
        ({"channels": (16, 24), "kernel_sizes": (5, 1), "dilations": (1, 1)}, "from 3 to 16"),
        ({"channels": (16, 18, 16, 16, 24)}, "multiples of res2net_scale, 4"),
        ({"kernel_sizes": (4, 3, 3, 3, 1)}, "odd"),
        ({"se_channels": 0}, "between 1 and 32768"),
        ({"embedding_dim": 10**9}, "between 1 and 32768"),
        ({"res2net_scale": 128}, "res2net_scale must be at most 64, not 128"),
    ],
)
def test_impossible_sizes_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_config(**changes)


def test_unknown_and_missing_sizes_are_refused() -> None:
    values = typed(tiny_config())
    with pytest.raises(ValueError, match="num_heads"):
        read_architecture({**values, "num_heads": 4})
    del values["channels"]
    with pytest.raises(ValueError, match="channels"):
        read_architecture(values)
