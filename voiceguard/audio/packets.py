"""From an open container to samples, packet by packet; blocking, for the I/O executor.

In: a container. Out: float32 blocks, all at the rate and channels of the first. A damaged packet
costs what it held: decoding goes on after it, and the next block says that something is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import av
import av.error
import numpy as np

from voiceguard.audio.config import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ
from voiceguard.audio.container import HEADERLESS
from voiceguard.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer

    from voiceguard.types import Samples

CONVERT = "write it anew: `ffmpeg -i FILE -ar 16000 -c:a pcm_s16le NEW.wav`"

BIG_ENDIAN = {
    "pcm_s16le": "pcm_s16be",
    "pcm_s24le": "pcm_s24be",
    "pcm_s32le": "pcm_s32be",
    "pcm_f32le": "pcm_f32be",
    "pcm_f64le": "pcm_f64be",
}
"""What the samples of a RIFX file are: FFmpeg reads its header rightly, and these as if RIFF."""

MAX_PACKET_S = 1.0
"""No damaged packet that says it lasted longer is believed."""


class DecodedBlock(NamedTuple):
    """Continuous audio."""

    samples: Samples
    """``(num_samples, num_channels)``."""
    num_missing: int | None = None
    """Samples that were damaged just before these, as far as known; None: these follow on."""


class PacketDecoder:
    """Decodes one stream of a container.

    Args:
        container: Open, at its beginning.
        name: Of the file, for messages.
        is_big_endian: Whether the samples are so although the container doesn't say it.

    Raises:
        AudioError: There is no audio in it.
    """

    def __init__(self, container: InputContainer, name: str, *, is_big_endian: bool) -> None:
        if not container.streams.audio:
            raise AudioError(f"{name} has no audio in it", hint="give a file with an audio track")
        self.stream = container.streams.audio[0]
        if self.stream.codec_context is None:
            raise AudioError(f"{name} is of a codec that nothing here decodes", hint=CONVERT)
        self.declared_s: float | None = None
        """How long FFmpeg takes it to be; None: it can't tell."""
        if self.stream.duration is not None and self.stream.time_base is not None:
            self.declared_s = float(self.stream.duration * self.stream.time_base)
        self.has_header = container.format.name not in HEADERLESS
        """Whether that is what the file says, and no guess."""
        self.rate_hz = 0
        self.num_channels = 0
        self.num_decoded = 0
        self.num_damaged = 0
        """Packets."""
        self.lost_s = 0.0
        """What they held, as far as they say."""
        self.broke_off = ""
        """Why nothing could be read after some place; empty: the end was reached."""
        self._container = container
        self._name = name
        self._decoder: av.AudioCodecContext | None = None
        if is_big_endian and (codec := BIG_ENDIAN.get(self.stream.codec_context.name)):
            self._decoder = cast("av.AudioCodecContext", av.CodecContext.create(codec, "r"))
            self._decoder.sample_rate = self.stream.rate
            self._decoder.layout = self.stream.layout
        self._input: tuple[str, str, int] | None = None
        self._resampler = av.AudioResampler()
        self._missing_s: float | None = None
        self._check_kind(self.stream.rate, self.stream.codec_context.channels)

    def blocks(self) -> Iterator[DecodedBlock]:
        """All that can be decoded.

        Raises:
            AudioError: At a rate or with channels that no recording has, or samples that are not
                numbers.
        """
        for frame in self._frames():
            for part in self._converted(frame):
                yield self._block(part)

    def _frames(self) -> Iterator[av.AudioFrame | None]:
        packets = self._container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                self.broke_off = str(error)
                packet = None
            if packet is None:
                yield None
                return
            try:
                decoded = self._decoder.decode(packet) if self._decoder else packet.decode()
            except av.error.EOFError:
                continue
            except (av.error.FFmpegError, ValueError):
                self._note_damage(packet)
                continue
            yield from decoded

    def _note_damage(self, packet: av.Packet[av.AudioStream]) -> None:
        lasting_s = 0.0
        if packet.duration and packet.time_base:
            lasting_s = min(float(packet.duration * packet.time_base), MAX_PACKET_S)
        self.num_damaged += 1
        self.lost_s += lasting_s
        self._missing_s = (self._missing_s or 0.0) + lasting_s

    def _converted(self, frame: av.AudioFrame | None) -> Iterator[av.AudioFrame]:
        """Float samples; where a file changes its rate or channels midway, as they were before."""
        if frame is not None:
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if kind != self._input:
                yield from self._flushed()
                self._check_kind(frame.sample_rate, frame.layout.nb_channels)
                self.rate_hz = self.rate_hz or frame.sample_rate
                self.num_channels = self.num_channels or frame.layout.nb_channels
                if self._input is None:
                    self._layout = frame.layout
                self._input = kind
                same = kind[2] == self.rate_hz and frame.layout.nb_channels == self.num_channels
                self._resampler = (
                    av.AudioResampler(format="flt")
                    if same
                    else av.AudioResampler("flt", self._layout, self.rate_hz)
                )
            yield from self._resampler.resample(frame)
        else:
            yield from self._flushed()

    def _flushed(self) -> Iterator[av.AudioFrame]:
        if self._input is not None:
            yield from self._resampler.resample(None)

    def _block(self, part: av.AudioFrame) -> DecodedBlock:
        samples = cast("Samples", part.to_ndarray()).reshape(-1, self.num_channels)
        finite = np.isfinite(samples).all(axis=1)
        if not finite.all():
            at_s = (self.num_decoded + int(np.argmin(finite))) / self.rate_hz
            raise AudioError(
                f"{self._name} has samples that are not finite numbers near {at_s:.1f} s",
                hint=CONVERT,
            )
        missing_s, self._missing_s = self._missing_s, None
        is_first = self.num_decoded == 0
        self.num_decoded += len(samples)
        if missing_s is None or is_first:
            return DecodedBlock(samples)
        return DecodedBlock(samples, round(missing_s * self.rate_hz))

    def _check_kind(self, rate_hz: int, num_channels: int) -> None:
        """Nobody records at 1 Hz: a second of it would become 16000 samples made of nothing."""
        if rate_hz and not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise AudioError(
                f"{self._name} says that it has {rate_hz} samples per second, where "
                f"{MIN_RATE_HZ} to {MAX_RATE_HZ} can be",
                hint=CONVERT,
            )
        if num_channels > MAX_CHANNELS:
            raise AudioError(
                f"{self._name} says that it has {num_channels} channels, where up to "
                f"{MAX_CHANNELS} can be",
                hint=CONVERT,
            )
