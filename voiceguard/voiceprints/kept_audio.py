r"""Enrollment audio that a speaker has agreed to keep, as the bytes of one file.

It lies beside the voiceprint, sealed like it, and is there for one purpose: when the encoder is
replaced, the voiceprint is made again without asking the person to read again. An envelope (see
``envelope``) whose header also names the enrollment; ::

    body        4 bytes length + JSON (per take: times, number of samples and of bytes)
                + the takes, each zlib of 16-bit samples

Samples are rounded to 16 bits, and nothing else is lost. Their differences, high and low bytes
apart, take 0.60 of the space of the samples; as they are 0.85.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - pydantic reads the fields' annotations
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.errors import VoiceprintError
from voiceguard.types import SAMPLE_RATE_HZ
from voiceguard.validation.parsing import parse_json
from voiceguard.validation.reading import read_rows
from voiceguard.voiceprints import envelope
from voiceguard.voiceprints.envelope import LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.types import Samples, Template, Voiceprint
    from voiceguard.voiceprints.key import StoreKey

MAX_KEPT_S = 600.0
"""Of one speaker. An enrollment is 30 s; ten minutes are twenty rooms, microphones and colds."""
MAX_FILE_BYTES = 24 << 20
"""Above the 19.2 MB of that many incompressible samples; a larger file is not kept audio."""

_FULL_SCALE = 32767.0


@dataclass(frozen=True, kw_only=True)
class _Header(envelope.Header):
    """The readable part of a file."""

    enrolled_at: datetime


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A take as the body describes it; its audio follows."""

    recorded_at: datetime
    consent_at: datetime
    num_samples: int
    num_bytes: int


_KIND = envelope.Kind(
    magic=b"VGAUDIO\n",
    version=1,
    header=_Header,
    name="kept audio",
    remedy="restore the file from a backup, or enroll again with --keep-audio",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptTake:
    """The recording that a template was made from."""

    recorded_at: datetime
    """The template's ``created_at``, which tells the takes of an enrollment apart."""
    consent_at: datetime
    """When the speaker agreed to keeping this audio."""
    samples: Samples = field(repr=False)
    """``(num_samples,)`` mono 16 kHz, silence included."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptAudio:
    """What is kept of one speaker."""

    speaker: str
    enrolled_at: datetime
    """The voiceprint's ``created_at``: audio of an earlier enrollment is never taken for this."""
    takes: tuple[KeptTake, ...]

    @property
    def seconds(self) -> float:
        return sum(take.seconds for take in self.takes)

    def samples_of(self, template: Template) -> Samples | None:
        """What a template was made from; None where that was not kept."""
        found = (take.samples for take in self.takes if take.recorded_at == template.created_at)
        return next(found, None)

    def check(self, voiceprint: Voiceprint) -> None:
        """That every take is what one template of this voiceprint was made from.

        Raises:
            VoiceprintError: It belongs to another enrollment.
        """
        recorded = Counter(take.recorded_at for take in self.takes)
        made = Counter(template.created_at for template in voiceprint.templates)
        if (
            self.speaker != voiceprint.speaker
            or self.enrolled_at != voiceprint.created_at
            or any(number != 1 or made[moment] != 1 for moment, number in recorded.items())
        ):
            raise VoiceprintError(
                f"the kept audio of {voiceprint.speaker!r} belongs to another enrollment than "
                "the voiceprint",
                hint="restore both files from the same backup, or enroll again",
            )


def audio_to_keep(
    voiceprint: Voiceprint,
    takes: Sequence[tuple[datetime, Samples]],
    consent_at: datetime,
    earlier: KeptAudio | None,
) -> KeptAudio:
    """What is kept of a speaker from now on.

    Args:
        voiceprint: With the new templates.
        takes: When each new take was recorded, and its audio.
        consent_at: To keeping these.
        earlier: What was kept of this enrollment before.
    """
    new = tuple(
        KeptTake(recorded_at=recorded_at, consent_at=consent_at, samples=samples)
        for recorded_at, samples in takes
    )
    return KeptAudio(
        speaker=voiceprint.speaker,
        enrolled_at=voiceprint.created_at,
        takes=(*(() if earlier is None else earlier.takes), *new),
    )


def check_length(speaker: str, seconds: float) -> None:
    """Refuses more audio than is kept of anybody.

    Raises:
        VoiceprintError: It is more than ``MAX_KEPT_S``.
    """
    if seconds > MAX_KEPT_S:
        raise VoiceprintError(
            f"{seconds:.0f} s of audio of {speaker!r} are too much to keep: at most "
            f"{MAX_KEPT_S:g} s per speaker",
            hint="give shorter recordings (30 s of speech are plenty), or leave --keep-audio out",
        )


def seal(audio: KeptAudio, key: StoreKey) -> bytes:
    """Compresses and encrypts under a fresh nonce.

    Raises:
        VoiceprintError: It is more than ``MAX_KEPT_S``.
    """
    fields = {"enrolled_at": audio.enrolled_at.isoformat()}
    return envelope.seal(_KIND, audio.speaker, fields, pack(audio), key)


def pack(audio: KeptAudio) -> bytes:
    """The body of a file, not encrypted: all but speaker and enrollment, which the header names.

    Raises:
        VoiceprintError: It is more than ``MAX_KEPT_S``.
    """
    check_length(audio.speaker, audio.seconds)
    packed = [_compress(take.samples) for take in audio.takes]
    document = [
        {
            "recorded_at": take.recorded_at.isoformat(),
            "consent_at": take.consent_at.isoformat(),
            "num_samples": len(take.samples),
            "num_bytes": len(content),
        }
        for take, content in zip(audio.takes, packed, strict=True)
    ]
    text = json.dumps(document).encode()
    return b"".join((LENGTH.pack(len(text)), text, *packed))


def read_enrolled_at(content: bytes, speaker: str) -> datetime:
    """Which enrollment a file says that it belongs to; needs no key.

    Raises:
        VoiceprintError: Not kept audio, truncated, of a newer format, or another speaker's.
    """
    return envelope.read_header(_KIND, content, speaker).enrolled_at


def unseal(content: bytes, speaker: str, key: StoreKey) -> KeptAudio:
    """Decrypts and checks the file that should hold this speaker's audio.

    Raises:
        VoiceprintError: Damaged, tampered with, another speaker's, or not kept audio at all.
        StoreKeyError: Sealed with another key.
    """
    header, body = envelope.unseal(_KIND, content, speaker, key)
    try:
        return unpack(body, speaker=speaker, enrolled_at=header.enrolled_at)
    except (ValueError, struct.error, zlib.error) as error:
        raise envelope.not_understood(_KIND, speaker, error) from error


def unpack(body: bytes, *, speaker: str, enrolled_at: datetime) -> KeptAudio:
    """Reads what ``pack`` made.

    Raises:
        ValueError, struct.error, zlib.error: It was made by something else.
    """
    start = LENGTH.size + LENGTH.unpack_from(body)[0]
    takes = []
    left = round(MAX_KEPT_S * SAMPLE_RATE_HZ)
    for entry in read_rows(_Entry, parse_json(body[LENGTH.size : start])):
        if not 0 <= entry.num_samples <= left:
            raise ValueError(f"a take of {entry.num_samples} samples; {left} at most")
        left -= entry.num_samples
        end = start + entry.num_bytes
        takes.append(
            KeptTake(
                recorded_at=entry.recorded_at,
                consent_at=entry.consent_at,
                samples=_decompress(body[start:end], entry.num_samples),
            )
        )
        start = end
    if start != len(body):
        raise ValueError("its takes do not add up to its length")
    return KeptAudio(speaker=speaker, enrolled_at=enrolled_at, takes=tuple(takes))


def _compress(samples: Samples) -> bytes:
    pcm = np.clip(np.rint(samples * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE).astype("<i2")
    steps = np.diff(pcm, prepend=pcm.dtype.type(0))  # wraps around, and so does cumsum
    halves = steps.astype("<i2").view(np.uint8).reshape(-1, 2).T  # (low and high bytes, samples)
    return zlib.compress(np.ascontiguousarray(halves).tobytes())


def _decompress(content: bytes, num_samples: int) -> Samples:
    raw = zlib.decompressobj().decompress(content, 2 * num_samples + 1)
    halves = np.frombuffer(raw, np.uint8).reshape(2, num_samples)
    steps = np.ascontiguousarray(halves.T).view("<i2")[:, 0]
    pcm = np.cumsum(steps, dtype=np.int16)
    return (pcm / np.float32(_FULL_SCALE)).astype(np.float32)
