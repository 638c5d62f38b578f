"""What the readers of other projects' checkpoints hand over, and what a reader is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from voiceguard.encoder.card.model_card import ModelCard


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A checkpoint that was read, not yet installed: weights of ours to compute, or a program."""

    card: ModelCard
    """A draft: hash, number of parameters and golden embedding are filled in by ``install``."""
    state: Mapping[str, Tensor] | None = None
    """By the names of ``card.architecture.build().state_dict()``."""
    program: Path | None = None
    """The ``.onnx`` or TorchScript file, to be copied as it is."""
    found: tuple[str, ...] = ()
    """Sentences for the person: "SpeechBrain ECAPA-TDNN, channels 1024..., 192 dimensions"."""

    def __post_init__(self) -> None:
        if (self.state is None) == (self.program is None):
            raise ValueError("an imported model has either a state or a program")


class Reader(Protocol):
    """A module of this package that reads one format."""

    NAME: str
    """As a person calls the format: "NVIDIA NeMo"."""

    def recognises(self, path: Path) -> bool:
        """Whether this looks like one, by layout and content; cheap, nothing is unpickled."""
        ...

    def read(self, path: Path, *, name: str) -> Imported:
        """Reads it, with limits, as data.

        Args:
            path: File or directory.
            name: What the card will be called.

        Raises:
            EncoderError: It is truncated, damaged, hostile, of an architecture or of sizes that
                are not supported.
        """
        ...
