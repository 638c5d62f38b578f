"""Reads an audio file (through PyAV), a bounded part of it at a time; for the I/O executor.

Comes in: a path, or bytes as they come. Goes out: float32 blocks at the file's own rate and
channels, bit-exact for PCM, and in the end a report of what was missing.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import av.error
import numpy as np
import structlog

from voiceguard.audio.container import Readable, RiffHeader, Supply, open_container, open_file
from voiceguard.audio.packets import CONVERT, DecodedBlock, PacketDecoder
from voiceguard.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

TRUNCATED_SHARE = 0.05
TRUNCATED_S = 0.2
"""A file that ends earlier than its header says by more than both is called truncated; less is
within the precision of compressed formats' headers."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeReport:
    """What a file turned out to hold."""

    decoded_s: float
    num_damaged: int
    """Packets that could not be decoded."""
    lost_s: float
    """What they held, as far as they say."""
    truncated: bool
    """It ends before its header says."""

    @property
    def shortfall(self) -> str:
        """What is missing, for people; empty: nothing."""
        parts = []
        if self.num_damaged:
            parts.append(
                f"{self.num_damaged} damaged packet(s), {self.lost_s:.2f} s, were left out"
            )
        if self.truncated:
            parts.append("the file broke off early")
        return "; ".join(parts)


class AudioDecoder:
    """An open file; a context manager.

    A file that is damaged or breaks off gives the audio that it has; ``report`` says so once it is
    read, and so does the log.

    Args:
        source: A regular file; or something that gives its bytes, from the first one on.
        name: What messages call it; the path where there is one.

    Raises:
        AudioError: Missing, unreadable, no regular file, empty, not audio, without audio, or at a
            rate or with channels that no recording has.
    """

    def __init__(self, source: Path | Readable, name: str = "") -> None:
        self.name = name or str(source)
        self.report: DecodeReport | None = None
        """None until all is read."""
        self._share_present = 1.0
        self._exits = ExitStack()
        self._lock = threading.Lock()
        self._blocks = self._decode(source)
        try:
            # The first frame tells rate and channels; a header may not (HE-AAC says half the rate).
            self._pending: DecodedBlock | None = next(self._blocks)
        except BaseException:
            self._exits.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def rate_hz(self) -> int:
        """Of all blocks."""
        return self._packets.rate_hz

    @property
    def num_channels(self) -> int:
        """Of all blocks."""
        return self._packets.num_channels

    @property
    def stated_s(self) -> float | None:
        """How long it is by its header; None: that doesn't say."""
        return self._packets.declared_s if self._packets.has_header else None

    def close(self) -> None:
        """Frees the file, after the read that another thread may be in (milliseconds)."""
        with self._lock:
            self._blocks.close()
            self._exits.close()

    def read(self, num_samples: int) -> DecodedBlock | None:
        """The next samples; fewer before what is missing and at the end, then None.

        Raises:
            AudioError: Nothing more can be read as audio, or samples are not numbers.
        """
        with self._lock:
            first, self._pending = self._pending or next(self._blocks, None), None
            if first is None:
                return None
            parts, available = [first.samples], len(first.samples)
            while available < num_samples:
                block = next(self._blocks, None)
                if block is None or block.num_missing is not None:
                    self._pending = block
                    break
                parts.append(block.samples)
                available += len(block.samples)
            joined = np.concatenate(parts) if len(parts) > 1 else parts[0]
            if available > num_samples:
                self._pending = DecodedBlock(joined[num_samples:])
            return DecodedBlock(joined[:num_samples], first.num_missing)

    def _decode(self, source: Path | Readable) -> Generator[DecodedBlock, None, None]:
        try:
            self._packets = self._open(source)
            for block in self._packets.blocks():
                self._supply.note_audio()
                yield block
            self._conclude()
        except AudioError:
            raise
        except Exception as error:  # whatever a library makes of a file is that file's fault
            raise AudioError(
                f"{self.name} can't be read as audio: {type(error).__name__}: {error}",
                hint=CONVERT,
            ) from error

    def _open(self, source: Path | Readable) -> PacketDecoder:
        suffix, is_big_endian = "", False
        if isinstance(source, Path):
            file = self._exits.enter_context(open_file(source))
            header = RiffHeader(file)
            if header.has_impossible_tag():
                raise AudioError(
                    f"{self.name} has a tag that is longer than the file", hint=CONVERT
                )
            self._share_present, is_big_endian = header.share_present, header.is_big_endian
            suffix = source.suffix
            source = file
        try:
            self._supply = Supply(source, suffix)
            container = self._exits.enter_context(open_container(self._supply))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise AudioError(
                f"{self.name} is not a readable audio file: {getattr(error, 'strerror', error)}",
                hint="give a recording (wav, flac, ogg, opus, mp3, m4a, ...), no playlist; one "
                "that was cut off while it was written may be beyond reading",
            ) from error
        return PacketDecoder(container, self.name, is_big_endian=is_big_endian)

    def _conclude(self) -> None:
        packets = self._packets
        if not packets.num_decoded:
            raise AudioError(
                f"{self.name} holds no audio that can be decoded"
                + (f": {packets.broke_off}" if packets.broke_off else ""),
                hint="it may have been cut off while it was written or copied; make it again",
            )
        decoded_s = packets.num_decoded / packets.rate_hz
        declared_s = decoded_s if packets.declared_s is None else packets.declared_s
        declared_s /= self._share_present
        margin_s = max(TRUNCATED_S, TRUNCATED_SHARE * declared_s)
        is_short = decoded_s + packets.lost_s < declared_s - margin_s
        self.report = DecodeReport(
            decoded_s=decoded_s,
            num_damaged=packets.num_damaged,
            lost_s=packets.lost_s,
            truncated=bool(packets.broke_off) or is_short,
        )
        facts = {"file": self.name, "decoded_s": round(decoded_s, 2)}
        if packets.num_damaged:
            _log.warning(
                "file_damaged",
                **facts,
                num_packets=packets.num_damaged,
                lost_s=round(packets.lost_s, 2),
            )
        if self.report.truncated:
            _log.warning(
                "file_truncated",
                **facts,
                declared_s=round(declared_s, 2),
                reason=packets.broke_off,
            )
