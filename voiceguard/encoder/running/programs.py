"""What encoders whose file is a program have in common: what goes in, what must come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voiceguard.encoder.card.program_config import Layout
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor


def arranged(features: Tensor, layout: Layout) -> Tensor:
    """``(num_bands, frames)`` with a batch axis, in a program's order; a waveform has both."""
    if layout is Layout.WAVEFORM:
        return features  # (1, num_samples): its one "band" is the batch
    return (features.T if layout is Layout.TIME_BANDS else features).unsqueeze(0)


def one_embedding(found: object, name: str, dim: int) -> Tensor:
    """The output for one recording, ``(dim,)`` float32.

    Raises:
        EncoderError: It isn't a tensor of that shape.
    """
    if not isinstance(found, torch.Tensor):
        raise EncoderError(
            f"encoder {name} gives a {type(found).__name__} instead of one tensor",
            hint="Wrap the model so that its forward returns the embedding alone.",
        )
    if found.shape not in {(1, dim), (dim,)}:
        raise EncoderError(
            f"encoder {name} gives {tuple(found.shape)} where its card says (1, {dim})",
            hint="Correct the sidecar, and import it again.",
        )
    return found.reshape(dim).float()


def not_run(name: str, error: Exception) -> EncoderError:
    """For whatever a program or its runtime raises."""
    return EncoderError(
        f"encoder {name} can't be run on this input: {last_line(error)}",
        hint="Its sidecar may not describe it: the layout, the features, min_seconds.",
    )


def last_line(error: Exception) -> str:
    """What is wrong: TorchScript prints the program's source first."""
    lines = [line for line in str(error).strip().splitlines() if line.strip(" ~<-")]
    return lines[-1].strip()[:300] if lines else type(error).__name__
