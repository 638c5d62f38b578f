"""Hop 1 of 6, its edge: the one place that touches PortAudio, through sounddevice.

Every function blocks and belongs on the I/O executor; only ``Capture``'s two callbacks run on
PortAudio's own thread. They copy into the ring, stamp, wake the reader, and nothing else.

PortAudio lists devices once, when it is initialised, and initialising it again ends every stream
of the process. So it is done freely while no stream is open, and else only when a separate
process sees that the list has changed and now has the device that is wanted.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from voiceguard.audio.devices import (
    DeviceDescription,
    DeviceGoneError,
    describe,
    find_device,
    import_sounddevice,
    probe,
)
from voiceguard.audio.ring import RingBuffer
from voiceguard.audio.sound_server import ServerSource, UnmixedStream, describe_source
from voiceguard.errors import DeviceError
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from voiceguard.audio.config import AudioConfig
    from voiceguard.clock import Clock
    from voiceguard.types import Samples

PERMANENT = ("Invalid sample rate", "Invalid number of channels", "Sample format not supported")
"""PortAudio's words for an open that fails in the same way however long one waits."""


class Capture:
    """An open stream: its ring, when it was last heard of, and whether PortAudio ended it."""

    def __init__(
        self,
        device: DeviceDescription,
        config: AudioConfig,
        wake: Callable[[], None],
        clock: Clock,
        source: ServerSource | None = None,
        num_to_mix: int = 1,
    ) -> None:
        self.device = device
        self.source = source
        server = device.is_sound_server
        own_rate_hz = SAMPLE_RATE_HZ if server else device.default_rate_hz
        self.rate_hz = config.rate_hz or own_rate_hz
        if source is not None:
            self.num_channels = source.num_channels
        elif config.num_channels:
            self.num_channels = config.num_channels
        elif isinstance(config.channel, int):
            self.num_channels = config.channel + 1
        else:
            self.num_channels = num_to_mix if server else device.num_channels
        self.block_samples = max(1, self.rate_hz * config.block_ms // 1000)
        self.ring = RingBuffer(round(config.ring_s * self.rate_hz), self.num_channels, self.rate_hz)
        self.opened_at_s = clock.monotonic_s()
        self.first_block_at_s: float | None = None
        """When the first sample of the first block was recorded, as far as is known."""
        self.last_block_at_s: float | None = None
        self.ended = False
        self.stream: Any = None
        self._wake = wake
        self._clock = clock

    def on_block(self, samples: Samples, num_samples: int, _time: object, flags: Any) -> None:  # noqa: ANN401
        """PortAudio's thread has recorded a block, ``(num_samples, channels)``."""
        now_s = self._clock.monotonic_s()
        num_missed = None
        if flags and flags.input_overflow:
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
            return describe(import_sounddevice())

    def open(
        self,
        wanted: str | int | None,
        config: AudioConfig,
        wake: Callable[[], None],
        clock: Clock,
        *,
        afresh: bool,
    ) -> Capture:
        with self._lock:
            sounddevice = import_sounddevice()
            others_live = any(not capture.ended for capture in self._captures)
            if afresh and (not others_live or self._has_changed_to_include(wanted, sounddevice)):
                # Others whose stream this ends notice it, and open it again.
                for capture in list(self._captures):
                    self._end(capture)
                self._reinitialise(sounddevice)
            device = find_device(describe(sounddevice), wanted)
            source, num_to_mix = _source_behind(device, config), _num_to_mix(device, config)
            capture = Capture(device, config, wake, clock, source, num_to_mix)
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
        fresh = probe()
        if fresh == describe(sounddevice):
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
    clock: Clock,
    *,
    afresh: bool = False,
) -> Capture:
    """Opens a device and starts recording into the capture's ring.

    Args:
        wanted: An index, a name or a part of one, None for the default device.
        config: Rate, channels, block and ring.
        wake: Called on PortAudio's thread after each block, and when the stream ends.
        clock: For the stamps of blocks.
        afresh: Look for devices anew; interrupts the process's other captures if it must.

    Raises:
        DeviceGoneError: Not there, or busy.
        DeviceError: Ambiguous, or it cannot do what the configuration asks.
    """
    return _portaudio.open(wanted, config, wake, clock, afresh=afresh)


def close_capture(capture: Capture) -> None:
    """Ends a capture whatever state it is in; safe to call twice."""
    _portaudio.close(capture)


def _num_to_mix(device: DeviceDescription, config: AudioConfig) -> int:
    """Channels to ask a sound server for where their mean is wanted: left and right, if it has two.

    It would mix them as well, but then nobody would notice that they cancel each other.
    """
    if not device.is_sound_server or config.channel != "downmix" or config.num_channels:
        return 1
    source = describe_source()
    return 1 if source is None else min(2, source.num_channels)


def _source_behind(device: DeviceDescription, config: AudioConfig) -> ServerSource | None:
    """What to record unmixed, where one channel of a sound server's source is wanted."""
    if not device.is_sound_server or config.channel == "downmix":
        return None
    source = describe_source()
    if source is None:
        if config.num_channels:
            return None
        raise DeviceGoneError(
            f'nobody says how many channels the microphone behind "{device.name}" has',
            hint="does the sound server run, and is libpulse installed? Else name the hardware "
            "device instead, or set audio.num_channels",
        )
    if config.channel >= source.num_channels:
        raise DeviceError(
            f"channel {config.channel} was asked for, counted from 0, but {source.name} behind "
            f'"{device.name}" has {source.num_channels}',
            hint=f'set audio.channel to "downmix" or to 0..{source.num_channels - 1}',
        )
    return source


def _start_unmixed(capture: Capture, source: ServerSource) -> None:
    capture.stream = UnmixedStream(
        source, capture.rate_hz, capture.block_samples, capture.on_block, capture.on_end
    )
    try:
        capture.stream.start()
    except OSError as error:
        raise DeviceGoneError(
            f'microphone "{capture.device.name}" does not open: no process can be started that '
            f"records its channels ({error.strerror})",
            hint="has the machine run out of memory, or this user of processes?",
        ) from error


def _start(sounddevice: ModuleType, capture: Capture, config: AudioConfig) -> None:
    name = capture.device.name
    if capture.source is not None:
        _start_unmixed(capture, capture.source)
        return
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
