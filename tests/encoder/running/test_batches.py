"""Recordings of any lengths in batches: each as if it were alone, in the order they came."""

from __future__ import annotations

import torch

from tests.encoder.networks.test_campplus import features, tiny_campplus
from voiceguard.encoder.running import batches


@torch.inference_mode()
def test_each_is_embedded_as_if_alone_and_keeps_its_place() -> None:
    network = tiny_campplus()
    given = [features(16, num_frames) for num_frames in (300, 20, 150, 300, 77)]
    found = batches.embed_batches(network, given)
    for each, row in zip(given, found, strict=True):
        torch.testing.assert_close(
            torch.from_numpy(row), network(each[None])[0], rtol=1e-4, atol=1e-5
        )


def test_no_batch_is_larger_than_memory_allows() -> None:
    sizes: list[tuple[int, int]] = []

    def network(features: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
        sizes.append((len(features), features.shape[2]))
        assert int(num_frames.max()) == features.shape[2]
        return num_frames[:, None].float()

    lengths = [9000, 300, 40_000, 16_000, 15_000, 300]
    found = batches.embed_batches(network, [torch.zeros(2, length) for length in lengths])
    assert [float(row[0]) for row in found] == lengths
    assert all(rows * frames <= batches.MAX_BATCH_FRAMES or rows == 1 for rows, frames in sizes)
    assert len(sizes) == 3


def test_nothing_is_no_batch() -> None:
    assert batches.embed_batches(torch.nn.Identity(), []) == []
