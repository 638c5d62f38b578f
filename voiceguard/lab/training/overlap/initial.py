"""Weights that were written, put back into the network, to learn on from them.

In: a file as it ships, normalisations folded into convolutions. Out: a network that says what the
file says, and has normalisations again.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch

from voiceguard.encoder.export.folding import EPSILON
from voiceguard.encoder.overlap.weights import MAX_BYTES, read_weights
from voiceguard.errors import EncoderError, UsageError
from voiceguard.lab.training.overlap.weights import layers
from voiceguard.validation.files import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor, nn

    from voiceguard.encoder.overlap.weights import OverlapWeights
    from voiceguard.lab.training.overlap.network import OverlapNetwork


def read_initial(path: Path) -> tuple[OverlapWeights, str]:
    """What ``write_weights`` wrote, to go on from; and its sha256.

    Raises:
        UsageError: There is no such file, or it is another.
    """
    try:
        sha256 = hashlib.sha256(read_whole(path, MAX_BYTES)).hexdigest()
        return read_weights(path, sha256), sha256
    except (OSError, EncoderError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"cannot begin with {path}: {what}", hint="--init takes what this command wrote."
        ) from error


@torch.no_grad()
def unfold(
    network: OverlapNetwork, weights: OverlapWeights, spectrograms: Iterable[Tensor]
) -> None:
    """Puts folded weights back, so that the network says what the file does, and learns on.

    While it learns, a normalisation divides by what a batch has. So each has to be given what it
    has to undo: mean and deviation of its input, which are measured.

    Args:
        network: Is changed; of the same shape.
        weights: From a file.
        spectrograms: ``(batch, num_bins, num_frames)`` each, of what it will learn from.
    """
    state = network.state_dict()
    normalised = set(layers(network))
    for name, array in weights.arrays.items():
        layer, _, part = name.rpartition(".")
        if layer not in normalised:
            state[name].copy_(torch.from_numpy(array))
        elif part == "weight":
            state[f"{layer}.0.weight"].copy_(torch.from_numpy(array))
        else:
            _put_norm(state, layer, bias=torch.from_numpy(array))
    network.eval()
    inputs = {name: _Moments() for name in normalised}
    with ExitStack() as hooks:
        for name, moments in inputs.items():
            norm = network.get_submodule(f"{name}.1")
            hooks.callback(norm.register_forward_pre_hook(moments).remove)
        for spectrogram in spectrograms:
            network(spectrogram)
    for name, moments in inputs.items():
        mean, variance = moments.found()
        bias = state[f"{name}.1.bias"] + mean
        _put_norm(state, name, bias=bias, mean=mean, variance=variance)


class _Moments:
    """Mean and variance of each channel of all that a module is given."""

    def __init__(self) -> None:
        self._sums: list[Tensor] = []

    def __call__(self, module: nn.Module, given: tuple[Tensor, ...]) -> None:  # noqa: ARG002 - a hook
        channels = given[0].transpose(0, 1).flatten(1).double()
        self._sums.append(torch.stack([(channels**power).sum(1) for power in range(3)]))

    def found(self) -> tuple[Tensor, Tensor]:
        """Each ``(channels,)``."""
        num, total, squares = torch.stack(self._sums).sum(0)
        mean = total / num
        return mean.float(), (squares / num - mean.square()).clamp_min(0).float()


def _put_norm(
    state: dict[str, Tensor],
    layer: str,
    *,
    bias: Tensor,
    mean: Tensor | float = 0.0,
    variance: Tensor | float = 1 - EPSILON,
) -> None:
    """A normalisation that adds a bias and changes nothing else, where its input is such."""
    deviation = (torch.as_tensor(variance) + EPSILON).sqrt()
    values = {"weight": deviation, "bias": bias, "running_mean": mean, "running_var": variance}
    for part, value in values.items():
        state[f"{layer}.1.{part}"].copy_(torch.as_tensor(value))
