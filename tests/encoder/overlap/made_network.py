"""A small network as training leaves it, in a file as it is shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voiceguard.encoder.overlap.spectrogram import Shape
from voiceguard.encoder.overlap.weights import OverlapWeights, read_weights
from voiceguard.lab.training.overlap.network import OverlapNetwork
from voiceguard.lab.training.overlap.weights import write_weights

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = Shape(fft_samples=512, num_bins=64, stem=(3, 4, 5), channels=6, hidden=5)


def made_network() -> OverlapNetwork:
    """Random, its normalisations too; every weight is a number that float16 has."""
    torch.manual_seed(7)
    network = OverlapNetwork(SHAPE)
    for name, each in network.state_dict().items():
        if name.endswith("running_var"):
            each.uniform_(0.5, 2.0)
        elif each.is_floating_point() and each.dim() == 1:
            each.normal_()
    return network.eval()


def made_weights(folder: Path, network: OverlapNetwork) -> OverlapWeights:
    """Written and read."""
    path = folder / "overlap.safetensors"
    sha256 = write_weights(path, network, threshold=0.5, licence="MIT", trained_on="nothing")
    return read_weights(path, sha256)
