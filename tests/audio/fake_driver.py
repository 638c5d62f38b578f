"""A stand-in for the package sounddevice: a driver that overruns and goes away when told to."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pytest

    from tests.fakes import FakeClock

RATE_HZ = 16_000
BLOCK_SAMPLES = 1_600


@dataclass
class Flags:
    """What sounddevice passes to the callback."""

    input_overflow: bool = False

    def __bool__(self) -> bool:
        return self.input_overflow


@dataclass
class FakeDriver:
    """One microphone at 16 kHz; ``deliver`` and ``vanish`` do what PortAudio's thread would."""

    clock: FakeClock
    streams: list[dict[str, Any]] = field(default_factory=list)
    """What each stream was opened with, newest last."""

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
        """Takes sounddevice's place."""
        device = {
            "name": "fake",
            "hostapi": 0,
            "max_input_channels": 1,
            "default_samplerate": RATE_HZ,
        }
        module = SimpleNamespace(
            PortAudioError=RuntimeError,
            InputStream=self._open,
            query_devices=lambda: [device],
            query_hostapis=lambda: [{"name": "ALSA"}],
            default=SimpleNamespace(device=(0, 0)),
            _initialize=lambda: None,
            _terminate=lambda: None,
        )
        monkeypatch.setitem(sys.modules, "sounddevice", module)
        return self

    def deliver(self, *, after_s: float = 0.1, overflow: bool = False, level: float = 0.01) -> None:
        """One block of 0.1 s, so long after the last."""
        self.clock.now_s += after_s
        block = np.full((BLOCK_SAMPLES, 1), level, dtype=np.float32)
        self.streams[-1]["callback"](block, BLOCK_SAMPLES, None, Flags(overflow))

    def vanish(self) -> None:
        """The device is unplugged."""
        self.streams[-1]["finished_callback"]()

    def _open(self, **how: Any) -> SimpleNamespace:  # noqa: ANN401
        self.streams.append(how)
        return SimpleNamespace(start=lambda: None, abort=lambda: None, close=lambda: None)
