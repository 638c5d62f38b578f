"""The unofficial ECAPA-TDNN network: its sizes, and what one item owes to its batch."""

from __future__ import annotations

import pytest
import torch

from tests.encoder.foreign.made import taoruijie_state
from voiceguard.encoder.card.kinds import read_architecture, typed
from voiceguard.encoder.networks.taoruijie import TaoRuijieConfig, TaoRuijieEcapa

TINY = TaoRuijieConfig(
    num_mels=16,
    channels=16,
    aggregated_channels=24,
    res2net_scale=4,
    se_channels=6,
    attention_channels=10,
    embedding_dim=8,
)


def network() -> torch.nn.Module:
    built = TINY.build()
    built.load_state_dict(taoruijie_state())
    return built.eval()


@torch.inference_mode()
def test_an_item_does_not_depend_on_its_batch() -> None:
    batch = torch.randn(3, 16, 60, generator=torch.Generator().manual_seed(1))
    found = network()(batch)
    assert found.shape == (3, 8)
    torch.testing.assert_close(found[1], network()(batch[1:2])[0])


@torch.inference_mode()
def test_the_shortest_input_and_a_constant_one_have_embeddings() -> None:
    for features in (torch.randn(1, 16, TINY.min_frames), torch.zeros(1, 16, 40)):
        assert network()(features).isfinite().all()


def test_weights_of_the_layout_keep_their_names() -> None:
    names = set(TaoRuijieEcapa(TINY).state_dict())
    assert {"conv1.weight", "layer2.convs.0.weight", "layer3.bns.1.running_var"} <= names
    assert {"layer1.se.se.3.bias", "attention.2.weight", "bn5.weight", "fc6.bias"} <= names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 18}, "multiple of res2net_scale, 4"),
        ({"res2net_scale": 1}, "at least 2"),
        ({"embedding_dim": 0}, "embedding_dim must be between"),
        ({"se_channels": 2**20}, "se_channels must be between"),
    ],
)
def test_impossible_sizes_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_architecture({**typed(TINY), **changes})


def test_sizes_survive_json_and_unknown_ones_are_refused() -> None:
    assert read_architecture(typed(TINY)) == TINY
    with pytest.raises(ValueError, match="heads"):
        read_architecture({**typed(TINY), "heads": 2})
