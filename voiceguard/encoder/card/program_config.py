"""What a model's card says about an encoder that is a program: ONNX, TorchScript, ECAPA2.

Such a file holds its network itself, so there are no sizes of layers here, only how to call it:
names, the order of the axes, and what must come out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_EMBEDDING_DIM = 8192

ECAPA2_DIMS = {"gfe_1": 2048, "gfe_2": 2048, "pool": 3072, "attention": 3072, "embedding": 192}
"""What ECAPA2 gives by label: means and variances of inner layers, and the embedding."""


class Layout(StrEnum):
    """The order of the axes of a program's input."""

    TIME_BANDS = "batch,time,bands"
    BANDS_TIME = "batch,bands,time"
    WAVEFORM = "waveform"
    """``(batch, samples)`` at 16 kHz, full scale 1.0: the program computes its own features."""


class _Plain:
    """Reading and writing of flat dataclasses, every field stated."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Reads what ``to_json`` wrote.

        Raises:
            ValueError: A field is missing, unknown or impossible.
        """
        expected = {entry.name for entry in fields(cls)}  # type: ignore[arg-type]
        if set(values) != expected:
            raise ValueError(f"a program must have {sorted(expected)}, not {sorted(values)}")
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a model's card."""
        plain: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        return plain


@dataclass(frozen=True, kw_only=True)
class OnnxConfig(_Plain):
    """An ONNX graph with one input that counts and one output that is the embedding."""

    TYPE: ClassVar[str] = "onnx"

    input: str
    output: str
    layout: Layout
    embedding_dim: int
    min_frames: int
    """Frames of 10 ms of the shortest input."""

    def __post_init__(self) -> None:
        if not self.input or not self.output:
            raise ValueError("input and output must name a tensor each")
        object.__setattr__(self, "layout", Layout(self.layout))
        _check_sizes(self.embedding_dim, self.min_frames)


@dataclass(frozen=True, kw_only=True)
class TorchScriptConfig(_Plain):
    """A TorchScript module whose ``forward`` takes one tensor and gives one."""

    TYPE: ClassVar[str] = "torchscript"

    layout: Layout
    embedding_dim: int
    min_frames: int
    """Frames of 10 ms of the shortest input."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", Layout(self.layout))
        _check_sizes(self.embedding_dim, self.min_frames)


@dataclass(frozen=True, kw_only=True)
class Ecapa2Config(_Plain):
    """ECAPA2's module, ``forward(audio, label)``; its sizes are documented and fixed."""

    TYPE: ClassVar[str] = "ecapa2"

    embedding_dim: int = ECAPA2_DIMS["embedding"]
    min_frames: int = 50
    """Ours: its publisher names no shortest input."""

    def __post_init__(self) -> None:
        _check_sizes(self.embedding_dim, self.min_frames)


def _check_sizes(embedding_dim: int, min_frames: int) -> None:
    if not 1 <= embedding_dim <= MAX_EMBEDDING_DIM:
        raise ValueError(
            f"embedding_dim must be between 1 and {MAX_EMBEDDING_DIM}, not {embedding_dim}"
        )
    if min_frames < 1:
        raise ValueError(f"min_frames must be at least 1, not {min_frames}")
