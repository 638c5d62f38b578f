"""How a run computes: device, precision, compilation. Nothing of it changes what is learnt."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from voiceguard.encoder.running.torch_encoder import find_device
from voiceguard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

_T = TypeVar("_T")

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Made by ``find_hardware``."""

    device: torch.device
    is_bfloat16: bool
    is_compiled: bool
    num_threads: int
    """Of the CPU."""

    def use_threads(self) -> None:
        """Gives torch its threads, once nothing else is loaded that would set their number."""
        torch.set_num_threads(self.num_threads)

    def autocast(self) -> AbstractContextManager[Any]:
        """Around the network's forward pass."""
        if not self.is_bfloat16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def compiled(self, forward: Callable[..., _T]) -> Callable[..., _T]:
        """A network's pass, compiled for each length of crops where that was asked for."""
        return torch.compile(forward, dynamic=False) if self.is_compiled else forward


def find_hardware(
    device: str = "auto",
    precision: str = "auto",
    *,
    num_threads: int = 0,
    compile_network: bool = False,
) -> Hardware:
    """Chooses.

    Args:
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        precision: ``auto`` is bfloat16 where the processor computes with it, else float32.
        num_threads: Of the CPU; 0 for all cores.
        compile_network: Minutes at the start, and faster steps; needs a C++ compiler on a CPU.

    Raises:
        EncoderError: There is no such device.
        ConfigError: There is no such precision.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    found = find_device(device)
    return Hardware(
        device=found,
        is_bfloat16=precision == "bfloat16" or (precision == "auto" and _has_bfloat16(found)),
        is_compiled=compile_network,
        num_threads=num_threads or os.cpu_count() or 1,
    )


def _has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is computed with, not emulated: that would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - there is no public name
