"""Hop 1 of 6, its edge: the one place that touches PortAudio, through sounddevice.

Every function blocks and belongs on the I/O executor; only ``Capture``'s two callbacks run on
PortAudio's own thread. They copy into the ring, stamp, wake the reader, and nothing else.

PortAudio lists devices once, when it is initialised, and initialising it again ends every stream
of the process. So it is done freely while no stream is open, and else only when a separate
process sees that the list has changed and now has the device that is wanted.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voiceguard.audio.ring import RingBuffer
from voiceguard.errors import DeviceError
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from voiceguard.audio.config import AudioConfig
    from voiceguard.types import Samples

SOUND_SERVERS = ("default", "pipewire", "pulse", "sysdefault")
"""ALSA's names for "whatever the sound server has": they take any rate and any channel count,
and what they report as their own (44.1 kHz, 32 channels) is made up."""

PERMANENT = ("Invalid sample rate", "Invalid number of channels", "Sample format not supported")
"""PortAudio's words for an open that fails in the same way however long one waits."""

PROBE = (
    "import json, sounddevice as s;"
    "print(json.dumps([list(s.query_devices()), list(s.query_hostapis()), s.default.device[0]]))"
)
PROBE_TIMEOUT_S = 5.0


class DeviceGoneError(DeviceError):
    """Not there, or busy: it may come back by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescription:
    """A microphone, or what PortAudio takes for one."""

    index: int
    """Changes when devices come and go."""
    name: str
    host_api: str
    num_channels: int
    default_rate_hz: int
    is_default: bool

    @property
    def is_sound_server(self) -> bool:
        """Whether a server, not a piece of hardware, answers under this name."""
        return self.host_api == "ALSA" and self.name in SOUND_SERVERS


class Capture:
    """An open stream: its ring, when it was last heard of, and whether PortAudio ended it."""

    def __init__(
        self, device: DeviceDescription, config: AudioConfig, wake: Callable[[], None]
    ) -> None:
        self.device = device
        server = device.is_sound_server
        own_rate_hz = SAMPLE_RATE_HZ if server else device.default_rate_hz
        self.rate_hz = config.rate_hz or own_rate_hz
        if config.num_channels:
            self.num_channels = config.num_channels
        elif isinstance(config.channel, int):
            self.num_channels = config.channel + 1
        else:
            self.num_channels = 1 if server else device.num_channels
        self.block_samples = max(1, self.rate_hz * config.block_ms // 1000)
        self.ring = RingBuffer(round(config.ring_s * self.rate_hz), self.num_channels, self.rate_hz)
        self.opened_at_s = time.monotonic()
        self.first_block_at_s: float | None = None
        """When the first sample of the first block was recorded, as far as is known."""
        self.last_block_at_s: float | None = None
        self.num_overflows = 0
        self.ended = False
        self.stream: Any = None
        self._wake = wake

    def on_block(self, samples: Samples, num_samples: int, _time: object, flags: Any) -> None:  # noqa: ANN401
        """PortAudio's thread has recorded a block, ``(num_samples, channels)``."""
        now_s = time.monotonic()
        num_missed = None
        if flags and flags.input_overflow:
            self.num_overflows += 1
            since_s = now_s - (self.last_block_at_s or now_s)
            num_missed = max(0, round(since_s * self.rate_hz) - num_samples)
        if self.first_block_at_s is None:
            self.first_block_at_s = now_s - num_samples / self.rate_hz
        self.last_block_at_s = now_s
        self.ring.write(samples, now_s, num_missed=num_missed)
        self._wake()

    def on_end(self) -> None:
        """PortAudio's thread is about to end: aborted, or its device or server is gone."""
        self.ended = True
        self._wake()


class _PortAudio:
    """Owner of the process's one PortAudio: who has it open, and when it may start afresh."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._captures: set[Capture] = set()

    def devices(self) -> list[DeviceDescription]:
        with self._lock:
            return _describe(_sounddevice())

    def open(
        self,
        wanted: str | int | None,
        config: AudioConfig,
        wake: Callable[[], None],
        *,
        afresh: bool,
    ) -> Capture:
        with self._lock:
            sounddevice = _sounddevice()
            others_live = any(not capture.ended for capture in self._captures)
            if afresh and (not others_live or self._has_changed_to_include(wanted, sounddevice)):
                # Others whose stream this ends notice it, and open it again.
                for capture in list(self._captures):
                    self._end(capture)
                self._reinitialise(sounddevice)
            capture = Capture(find_device(_describe(sounddevice), wanted), config, wake)
            _start(sounddevice, capture, config)
            self._captures.add(capture)
            return capture

    def close(self, capture: Capture) -> None:
        with self._lock:
            self._end(capture)

    def _end(self, capture: Capture) -> None:
        self._captures.discard(capture)
        if capture.stream is not None:
            # stop() would wait for a device that may never deliver again.
            capture.stream.abort()
            capture.stream.close()
            capture.stream = None

    @staticmethod
    def _reinitialise(sounddevice: ModuleType) -> None:
        with contextlib.suppress(sounddevice.PortAudioError):
            sounddevice._terminate()  # noqa: SLF001 - there is no public way
        try:
            sounddevice._initialize()  # noqa: SLF001
        except sounddevice.PortAudioError as error:
            raise DeviceGoneError(f"PortAudio does not start: {error}") from error

    @staticmethod
    def _has_changed_to_include(wanted: str | int | None, sounddevice: ModuleType) -> bool:
        fresh = _probe()
        if fresh == _describe(sounddevice):
            return False
        try:
            find_device(fresh, wanted)
        except DeviceError:
            return False
        return True


_portaudio = _PortAudio()


def list_devices() -> list[DeviceDescription]:
    """Every device that can record, as PortAudio saw them when this process first asked.

    Raises:
        DeviceError: PortAudio is not installed.
    """
    return _portaudio.devices()


def open_capture(
    wanted: str | int | None,
    config: AudioConfig,
    wake: Callable[[], None],
    *,
    afresh: bool = False,
) -> Capture:
    """Opens a device and starts recording into the capture's ring.

    Args:
        wanted: An index, a name or a part of one, None for the default device.
        config: Rate, channels, block and ring.
        wake: Called on PortAudio's thread after each block, and when the stream ends.
        afresh: Look for devices anew; interrupts the process's other captures if it must.

    Raises:
        DeviceGoneError: Not there, or busy.
        DeviceError: Ambiguous, or it cannot do what the configuration asks.
    """
    return _portaudio.open(wanted, config, wake, afresh=afresh)


def close_capture(capture: Capture) -> None:
    """Ends a capture whatever state it is in; safe to call twice."""
    _portaudio.close(capture)


def find_device(
    devices: Sequence[DeviceDescription], wanted: str | int | None
) -> DeviceDescription:
    """The device of this index, exact name, or the only one whose name contains it.

    A device that several host APIs offer is taken from the one of the default device.

    Raises:
        DeviceGoneError: There is none.
        DeviceError: Several fit.
    """
    if wanted is None:
        found = [device for device in devices if device.is_default] or list(devices[:1])
        title = "the default microphone"
    elif isinstance(wanted, int):
        found = [device for device in devices if device.index == wanted]
        title = f"microphone number {wanted}"
    else:
        part = wanted.casefold()
        found = [device for device in devices if device.name == wanted] or [
            device for device in devices if part in device.name.casefold()
        ]
        title = f'a microphone called "{wanted}"'
    if not found:
        raise DeviceGoneError(
            f"there is no {title.removeprefix('a ').removeprefix('the ')}; {_listing(devices)}",
            hint="plug it in, or choose another: `voiceguard devices` lists them",
        )
    if len(found) > 1:
        host_apis = [device.host_api for device in devices if device.is_default]
        found = [device for device in found if device.host_api in host_apis] or found
    if len(found) > 1:
        raise DeviceError(
            f"{title} can mean several; {_listing(found)}",
            hint="give more of the name, or the number",
        )
    return found[0]


def _listing(devices: Sequence[DeviceDescription]) -> str:
    if not devices:
        return "PortAudio sees no device that can record"
    return "found: " + ", ".join(f'{device.index} "{device.name}"' for device in devices)


def _sounddevice() -> ModuleType:
    """Imports sounddevice, which loads and initialises PortAudio."""
    try:
        import sounddevice  # noqa: PLC0415
    except OSError as error:
        raise DeviceError(
            "PortAudio, the library that reaches microphones, is not installed",
            hint="install libportaudio2 (Debian, Ubuntu, Raspberry Pi OS) or portaudio "
            "(Fedora, Arch, Homebrew)",
        ) from error
    module: ModuleType = sounddevice
    return module


def _start(sounddevice: ModuleType, capture: Capture, config: AudioConfig) -> None:
    name = capture.device.name
    try:
        capture.stream = sounddevice.InputStream(
            device=capture.device.index,
            samplerate=capture.rate_hz,
            channels=capture.num_channels,
            dtype="float32",
            blocksize=capture.block_samples,
            # Three blocks: with fewer, the ALSA plugin of PulseAudio wakes up twice as often.
            latency=3 * config.block_ms / 1000,
            callback=capture.on_block,
            finished_callback=capture.on_end,
        )
        capture.stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        if capture.stream is not None:
            capture.stream.close()
        reason = str(error)
        if any(words in reason for words in PERMANENT):
            raise DeviceError(
                f'microphone "{name}" cannot record {capture.num_channels} channel(s) at '
                f"{capture.rate_hz} Hz: {reason}",
                hint=f"it has {capture.device.num_channels} channel(s) and prefers "
                f"{capture.device.default_rate_hz} Hz: see audio.rate_hz, audio.num_channels "
                "and audio.channel",
            ) from error
        raise DeviceGoneError(
            f'microphone "{name}" does not open: {reason}',
            hint="is another program using it, or may this user not record (group audio)?",
        ) from error


def _describe(sounddevice: ModuleType) -> list[DeviceDescription]:
    return _descriptions(
        list(sounddevice.query_devices()),
        list(sounddevice.query_hostapis()),
        sounddevice.default.device[0],
    )


def _descriptions(
    devices: Sequence[dict[str, Any]], host_apis: Sequence[dict[str, Any]], default: int
) -> list[DeviceDescription]:
    return [
        DeviceDescription(
            index=index,
            name=device["name"],
            host_api=host_apis[device["hostapi"]]["name"],
            num_channels=device["max_input_channels"],
            default_rate_hz=round(device["default_samplerate"]),
            is_default=index == default,
        )
        for index, device in enumerate(devices)
        if device["max_input_channels"] > 0
    ]


def _probe() -> list[DeviceDescription]:
    """What a process that starts PortAudio now can see; empty when that fails."""
    try:
        finished = subprocess.run(  # noqa: S603 - our own interpreter, our own words
            [sys.executable, "-c", PROBE],
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
        devices, host_apis, default = json.loads(finished.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return _descriptions(devices, host_apis, default)
