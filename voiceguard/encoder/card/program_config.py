"""What a model's card says about an encoder that is a program: ONNX, TorchScript, ECAPA2.

Such a file holds its network itself, so there are no sizes of layers here, only how to call it:
names, the order of the axes, and what must come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from voiceguard.validation.ranges import Between, check_ranges

MAX_EMBEDDING_DIM = 8192

ECAPA2_DIMS = {"gfe_1": 2048, "gfe_2": 2048, "pool": 3072, "attention": 3072, "embedding": 192}
"""What ECAPA2 gives by label: means and variances of inner layers, and the embedding."""


class Layout(StrEnum):
    """The order of the axes of a program's input."""

    TIME_BANDS = "batch,time,bands"
    BANDS_TIME = "batch,bands,time"
    WAVEFORM = "waveform"
    """``(batch, samples)`` at 16 kHz, full scale 1.0: the program computes its own features."""


@dataclass(frozen=True, kw_only=True)
class OnnxConfig:
    """An ONNX graph with one input that counts and one output that is the embedding."""

    TYPE: ClassVar[str] = "onnx"

    input: str
    output: str
    layout: Layout
    embedding_dim: Annotated[int, Between(1, MAX_EMBEDDING_DIM)]
    min_frames: Annotated[int, Between(1)]
    """Frames of 10 ms of the shortest input."""

    def __post_init__(self) -> None:
        if not self.input or not self.output:
            raise ValueError("input and output must name a tensor each")
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class TorchScriptConfig:
    """A TorchScript module whose ``forward`` takes one tensor and gives one."""

    TYPE: ClassVar[str] = "torchscript"

    layout: Layout
    embedding_dim: Annotated[int, Between(1, MAX_EMBEDDING_DIM)]
    min_frames: Annotated[int, Between(1)]
    """Frames of 10 ms of the shortest input."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class Ecapa2Config:
    """ECAPA2's module, ``forward(audio, label)``; its sizes are documented and fixed."""

    TYPE: ClassVar[str] = "ecapa2"

    embedding_dim: Annotated[int, Between(1, MAX_EMBEDDING_DIM)] = ECAPA2_DIMS["embedding"]
    min_frames: Annotated[int, Between(1)] = 50
    """Ours: its publisher names no shortest input."""

    def __post_init__(self) -> None:
        check_ranges(self)
