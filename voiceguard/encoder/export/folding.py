"""Normalisation behind a rectifier, as far as it can be moved into the matrices around it.

``scale * relu(z) + shift`` equals ``sign(scale) * relu(|scale| z) + shift``: the size of the scale
goes into the matrix before, sign and shift into the one after, and nothing is left to compute.
Everything here is float64; what becomes a constant of a graph is rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

EPSILON = 1e-5
"""Of every normalisation: torch's default, which 3D-Speaker leaves."""


class Affine(NamedTuple):
    """What a value still has to be: ``sign * value + shift``, both ``(channels,)``."""

    sign: Doubles
    shift: Doubles

    def part(self, channels: slice) -> Affine:
        """Of some channels."""
        return Affine(self.sign[channels], self.shift[channels])


def joined(*parts: Affine) -> Affine:
    """Of channels one after the other."""
    return Affine(
        np.concatenate([part.sign for part in parts]),
        np.concatenate([part.shift for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class Tensors:
    """A network's tensors by their names, of any precision."""

    arrays: Mapping[str, NDArray[Any]]
    """``(num_out, num_in, kernel_size)``, ``(channels,)``, ...: as the network has them."""

    def __call__(self, name: str) -> Doubles:
        """A tensor, of whatever shape the network gives it."""
        return self.arrays[name].astype(np.float64)

    def matrix(self, name: str) -> Doubles:
        """``(num_out, num_in)`` of a convolution of width 1."""
        weight = self(f"{name}.weight")
        return weight.reshape(weight.shape[:2])

    def norm(self, name: str) -> tuple[Doubles, Doubles]:
        """Batch normalisation as it is evaluated, ``x * scale + shift``: both ``(channels,)``."""
        scale = 1 / np.sqrt(self(f"{name}.running_var") + EPSILON)
        shift = -self(f"{name}.running_mean") * scale
        if f"{name}.weight" not in self.arrays:
            return scale, shift
        weight = self(f"{name}.weight")
        return weight * scale, weight * shift + self(f"{name}.bias")

    def has(self, name: str) -> bool:
        """Whether there is one."""
        return name in self.arrays


def sign(scale: Doubles) -> Doubles:
    """``(channels,)`` of 1 and -1."""
    return np.where(scale < 0, -1.0, 1.0)
