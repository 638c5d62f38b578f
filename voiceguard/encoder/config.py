"""The [encoder] table of voiceguard.toml: which encoder, and on what it computes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from voiceguard.validation.ranges import Between, SettingsTable, check_ranges

Runtime = Literal["auto", "torch", "onnx", "openvino"]

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig(SettingsTable):
    """Which encoder makes the embeddings, and on what, the [encoder] table of voiceguard.toml."""

    model: str = "default"
    """default (the one that `voiceguard models use` chose, else the shipped one), the name of a
    shipped or installed model, or the path of a .safetensors file with its card beside it."""
    device: str = "auto"
    """auto (a CUDA device where there is one), cpu, cuda or cuda:N."""
    runtime: Runtime = "auto"
    """What computes: torch, onnx (ONNX Runtime) or openvino; auto: the fastest that is installed
    and gives the embedding that the encoder's card states. On a GPU auto is torch."""
    num_threads: Annotated[int, Between(1, 64)] = 1
    """CPU threads per window. One is the most efficient; two shorten the wait."""
    calibration: str = "auto"
    """The path of a calibration, or auto: the one that `voiceguard calibrate` fitted to this
    encoder on this machine, else the one beside the weights."""

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("model must be a name or a path, not empty")
        if not _DEVICE.fullmatch(self.device):
            raise ValueError(f"device must be auto, cpu, cuda or cuda:N, not {self.device!r}")
        if self.runtime not in get_args(Runtime):
            raise ValueError(
                f"runtime must be {', '.join(get_args(Runtime))}, not {self.runtime!r}"
            )
        if not self.calibration:
            raise ValueError("calibration must be auto or a path, not empty")
        check_ranges(self)
