"""What the readers of other projects' checkpoints hand over, and what a reader is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from voiceguard.encoder.card.kinds import Architecture, Features

NOT_STATED = "not stated in the checkpoint"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A checkpoint that was read, not yet installed: a network of ours, or a program.

    Its facts are called as the card calls them, which ``install`` makes.
    """

    architecture: Architecture
    features: Features
    min_window_s: float
    origin_format: str
    licence: str = NOT_STATED
    trained_on: str = NOT_STATED
    source: str = ""
    """Where it is published, if the checkpoint says so."""
    commercial_use: bool | None = None
    published: str = ""
    num_parameters: int | None = None
    """None: to be counted when it is loaded."""
    network: nn.Module | None = None
    """With its weights, in evaluation mode."""
    arrays: Mapping[str, NDArray[Any]] | None = None
    """Its weights alone, of any shape, by the names of the network's tensors: without torch."""
    program: Path | None = None
    """The ``.onnx`` or TorchScript file, to be copied as it is."""
    found: tuple[str, ...] = ()
    """Sentences for the person: "SpeechBrain ECAPA-TDNN, channels 1024..., 192 dimensions"."""

    def __post_init__(self) -> None:
        given = (self.network, self.arrays, self.program)
        if sum(each is not None for each in given) != 1:
            raise ValueError("an imported model has either a network, or arrays, or a program")


class Reader(Protocol):
    """A module of this package that reads one format."""

    NAME: str
    """As a person calls the format: "NVIDIA NeMo"."""

    def recognises(self, path: Path) -> bool:
        """Whether this looks like one, by layout and content; cheap, nothing is unpickled."""
        ...

    def read(self, path: Path) -> Imported:
        """Reads a file or directory, with limits, as data.

        Raises:
            EncoderError: It is truncated, damaged, hostile, of an architecture or of sizes that
                are not supported.
        """
        ...
