"""A small CAM++ checkpoint in 3D-Speaker's layout, its numbers the same on every machine."""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_Shape = tuple[int, ...]

HEAD_CHANNELS = 32


def campplus_state(
    *,
    num_bands: int = 16,
    channels: int = 8,
    growth: int = 4,
    bottleneck: int = 8,
    block_layers: Sequence[int] = (12, 24, 16),
    embedding_dim: int = 8,
) -> dict[str, torch.Tensor]:
    """As 3D-Speaker's ``CAMPPlus`` names them, the head of its one size; random in everything."""
    shapes = {
        **dict(_head()),
        **dict(_blocks(num_bands, channels, growth, bottleneck, block_layers, embedding_dim)),
    }
    return {name: _drawn(name, shape) for name, shape in shapes.items()}


def make_campplus(path: Path, **sizes: int | Sequence[int]) -> Path:
    """A whole checkpoint file."""
    torch.save(campplus_state(**sizes), path)  # type: ignore[arg-type]
    return path


def _head() -> Iterator[tuple[str, _Shape]]:
    square = (HEAD_CHANNELS, HEAD_CHANNELS, 3, 3)
    yield "head.conv1.weight", (HEAD_CHANNELS, 1, 3, 3)
    yield from _norm("head.bn1", HEAD_CHANNELS)
    for layer in ("layer1.0", "layer1.1", "layer2.0", "layer2.1"):
        for number in (1, 2):
            yield f"head.{layer}.conv{number}.weight", square
            yield from _norm(f"head.{layer}.bn{number}", HEAD_CHANNELS)
        if layer.endswith(".0"):
            yield f"head.{layer}.shortcut.0.weight", (HEAD_CHANNELS, HEAD_CHANNELS, 1, 1)
            yield from _norm(f"head.{layer}.shortcut.1", HEAD_CHANNELS)
    yield "head.conv2.weight", square
    yield from _norm("head.bn2", HEAD_CHANNELS)


def _blocks(
    num_bands: int,
    channels: int,
    growth: int,
    bottleneck: int,
    block_layers: Sequence[int],
    embedding_dim: int,
) -> Iterator[tuple[str, _Shape]]:
    yield "xvector.tdnn.linear.weight", (channels, HEAD_CHANNELS * num_bands // 8, 5)
    yield from _norm("xvector.tdnn.nonlinear.batchnorm", channels)
    for block, num_layers in enumerate(block_layers, start=1):
        widths = [channels + growth * layer for layer in range(num_layers + 1)]
        for number, (width, _) in enumerate(pairwise(widths), start=1):
            layer = f"xvector.block{block}.tdnnd{number}"
            yield from _norm(f"{layer}.nonlinear1.batchnorm", width)
            yield f"{layer}.linear1.weight", (bottleneck, width, 1)
            yield from _norm(f"{layer}.nonlinear2.batchnorm", bottleneck)
            yield f"{layer}.cam_layer.linear_local.weight", (growth, bottleneck, 3)
            yield f"{layer}.cam_layer.linear1.weight", (bottleneck // 2, bottleneck, 1)
            yield f"{layer}.cam_layer.linear1.bias", (bottleneck // 2,)
            yield f"{layer}.cam_layer.linear2.weight", (growth, bottleneck // 2, 1)
            yield f"{layer}.cam_layer.linear2.bias", (growth,)
        channels = widths[-1] // 2
        yield from _norm(f"xvector.transit{block}.nonlinear.batchnorm", widths[-1])
        yield f"xvector.transit{block}.linear.weight", (channels, widths[-1], 1)
    yield from _norm("xvector.out_nonlinear.batchnorm", channels)
    yield "xvector.dense.linear.weight", (embedding_dim, 2 * channels, 1)
    yield from _norm("xvector.dense.nonlinear.batchnorm", embedding_dim, affine=False)


def _norm(name: str, channels: int, *, affine: bool = True) -> Iterator[tuple[str, _Shape]]:
    for part in (*(("weight", "bias") if affine else ()), "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def _drawn(name: str, shape: _Shape) -> torch.Tensor:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if not shape:
        return torch.tensor(7)
    numbers = rng.uniform(-1, 1, shape)
    if name.endswith("running_var"):
        numbers = numbers + 1.5
    elif len(shape) > 1:
        numbers = numbers * (3 / np.prod(shape[1:])) ** 0.5
    elif name.endswith("weight"):
        numbers = numbers * 0.5 + 1.5  # else sixty layers make nothing of everything
    else:
        numbers = numbers * 0.3
    return torch.from_numpy(numbers.astype(np.float32))
