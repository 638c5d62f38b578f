r"""Voiceprints on their way to another machine: one file, sealed under a passphrase.

In: voiceprints, and the audio kept of them where it shall go along. Out: the bytes of a file from
which another machine's store takes them. The store's key stays where it is.

::

    magic       8 bytes
    length      4 bytes, big endian: how long the header is
    header      JSON: format, how the key is derived (scrypt: n, r, p, salt), a check value of the
                passphrase, the length of the whole file. It names nobody
    nonce       12 bytes
    sealed      AES-256-GCM of the body, under the derived key; everything before it is the
                associated data
    digest      SHA-256 of everything before it

    body        4 bytes length + JSON (per speaker: name, encoder, lengths)
                + per speaker the body of a voiceprint's file and perhaps that of kept audio

A key derived from a passphrase fits any file as far as the cipher can tell, so what a person needs
to tell apart is told apart before it: the digest says "damaged on the way", the check value "wrong
passphrase", and what then fails to decrypt was changed by somebody. The check value comes out of
the same derivation as the key and helps nobody to guess faster than the sealed body itself would.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import struct
import unicodedata
import zlib
from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003 - pydantic reads the fields' annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from voiceguard.errors import UsageError, VoiceprintError
from voiceguard.validation.parsing import parse_json, parse_json_object
from voiceguard.validation.ranges import Between, check_ranges
from voiceguard.validation.reading import plain, read, read_rows
from voiceguard.voiceprints import format as file_format
from voiceguard.voiceprints import kept_audio
from voiceguard.voiceprints.envelope import LENGTH
from voiceguard.voiceprints.names import check_speaker_name, speaker_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints.kept_audio import KeptAudio

MAX_FILE_BYTES = 512 << 20
"""Twenty speakers with all the audio that can be kept of them; a larger file is no export."""

MIN_PASSPHRASE_CHARACTERS = 10
"""Refuses what a list of common passwords holds; four random words have twenty."""

MAGIC = b"VGEXPRT\n"
FORMAT = 1

_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 17, 8, 1
"""128 MiB and 0.45 s of one core (measured here) for every guess.

Source: OWASP Password Storage Cheat Sheet, the strongest of its scrypt settings."""
_SALT_BYTES = 16
_KEY_BYTES = 32
_CHECK_BYTES = 16
_NONCE_BYTES = 12
_DIGEST_BYTES = 32
_MAX_HEADER_BYTES = 4096

_AGAIN = "copy the file again, or export it anew where the voiceprint is"


@dataclass(frozen=True, kw_only=True)
class _KeyDerivation:
    """A file that asks for more than 256 MiB or for seconds of work is an attack, or not ours."""

    name: Literal["scrypt"]
    n: Annotated[int, Between(1, 1 << 18)]
    r: Annotated[int, Between(1, 8)]
    p: Annotated[int, Between(1, 4)]
    salt: str

    def __post_init__(self) -> None:
        check_ranges(self)

    def derive(self, passphrase: str) -> tuple[bytes, bytes]:
        """Key and check value; a passphrase typed on another keyboard gives the same ones."""
        salt, length = bytes.fromhex(self.salt), _KEY_BYTES + _CHECK_BYTES
        scrypt = Scrypt(salt=salt, length=length, n=self.n, r=self.r, p=self.p)
        derived = scrypt.derive(unicodedata.normalize("NFKC", passphrase).encode())
        return derived[:_KEY_BYTES], derived[_KEY_BYTES:]


@dataclass(frozen=True, kw_only=True)
class _Header:
    """The readable part of an export."""

    format: int
    kdf: _KeyDerivation
    check: str
    num_bytes: int


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A speaker as the body describes them; voiceprint and audio follow."""

    speaker: str
    encoder_id: str
    num_bytes: int
    enrolled_at: datetime | None
    audio_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One speaker's share of an export."""

    voiceprint: Voiceprint
    audio: KeptAudio | None = None
    """The enrollment audio that the speaker agreed to keep, where it goes along."""

    def named(self, speaker: str) -> Parcel:
        """The same person under another name, an id or as people write it.

        Raises:
            UsageError: No name that a speaker can have.
        """
        speaker = speaker_id(speaker)
        audio = self.audio
        return Parcel(
            voiceprint=replace(self.voiceprint, speaker=speaker),
            audio=None if audio is None else replace(audio, speaker=speaker),
        )


def check_passphrase(passphrase: str) -> str:
    """Returns a passphrase that is long enough to seal with.

    Raises:
        UsageError: It is too short.
    """
    if len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
        raise UsageError(
            f"a passphrase needs at least {MIN_PASSPHRASE_CHARACTERS} characters; this one has "
            f"{len(passphrase)}",
            hint="take four or five words that nobody would put together",
        )
    return passphrase


def seal(parcels: Sequence[Parcel], passphrase: str) -> bytes:
    """The bytes of an export, under a fresh salt and nonce.

    Raises:
        UsageError: The passphrase is too short.
        VoiceprintError: More audio than is kept of anybody.
    """
    salt = os.urandom(_SALT_BYTES).hex()
    kdf = _KeyDerivation(name="scrypt", n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, salt=salt)
    key, check = kdf.derive(check_passphrase(passphrase))
    body = _pack(parcels)
    # The file's length stands in the header, whose own length depends on it: found by trying once.
    rest = len(MAGIC) + LENGTH.size + _NONCE_BYTES + len(body) + 16 + _DIGEST_BYTES
    header = _Header(format=FORMAT, kdf=kdf, check=check.hex(), num_bytes=10**9)
    text = json.dumps(plain(header)).encode()
    header = replace(header, num_bytes=rest + len(text))
    text = json.dumps(plain(header)).encode().ljust(len(text))
    associated = MAGIC + LENGTH.pack(len(text)) + text
    nonce = os.urandom(_NONCE_BYTES)
    content = associated + nonce + AESGCM(key).encrypt(nonce, body, associated)
    return content + hashlib.sha256(content).digest()


def unseal(content: bytes, passphrase: str, *, source: str = "the file") -> tuple[Parcel, ...]:
    """What an export holds, after every check.

    Args:
        content: The file's.
        passphrase: What it was sealed with.
        source: What to call it in errors.

    Raises:
        VoiceprintError: No export, truncated, damaged, tampered with, of a newer voiceguard; or
            the passphrase is wrong. Each says which.
    """
    values, end = _read_header(content, source)
    _check_whole(content, values, source)
    try:
        header = read(_Header, values)
        expected = bytes.fromhex(header.check)
        key, check = header.kdf.derive(passphrase)
    except ValueError as error:
        raise VoiceprintError(
            f"{source} has a header that is not understood: {error}", hint=_AGAIN
        ) from error
    if not hmac.compare_digest(check, expected):
        raise VoiceprintError(
            f"the passphrase is not the one that {source} was sealed with",
            hint="give it again; nobody can read the file without it",
        )
    nonce, sealed = content[end : end + _NONCE_BYTES], content[end + _NONCE_BYTES : -_DIGEST_BYTES]
    try:
        body = AESGCM(key).decrypt(nonce, sealed, content[:end])
        return _unpack(body)
    except InvalidTag as error:
        raise VoiceprintError(f"{source} was tampered with", hint=_AGAIN) from error
    except (ValueError, struct.error, zlib.error) as error:
        raise VoiceprintError(
            f"{source} is intact but not understood: {error}",
            hint="it was written by another version of voiceguard; export it with this one",
        ) from error


def _read_header(content: bytes, source: str) -> tuple[dict[str, Any], int]:
    """The header of this voiceguard's format, and where it ends."""
    start = len(MAGIC) + LENGTH.size
    if not content or content[: len(MAGIC)] != MAGIC[: len(content)]:
        raise VoiceprintError(
            f"{source} is no export of voiceprints",
            hint="`voiceguard voiceprints export NAME --out FILE` makes one",
        )
    length = LENGTH.unpack(content[len(MAGIC) : start])[0] if len(content) >= start else None
    if length is None or len(content) < start + min(length, _MAX_HEADER_BYTES):
        raise VoiceprintError(f"{source} is truncated", hint=_AGAIN)
    end = start + length
    try:
        header = parse_json_object(content[start:end])
    except ValueError as error:
        raise VoiceprintError(f"{source} was damaged on the way", hint=_AGAIN) from error
    if (version := header.get("format")) != FORMAT:
        raise VoiceprintError(
            f"{source} has format {version}; this voiceguard reads format {FORMAT}",
            hint="upgrade voiceguard on this machine",
        )
    return header, end


def _check_whole(content: bytes, header: Mapping[str, Any], source: str) -> None:
    expected = header.get("num_bytes")
    if isinstance(expected, int) and len(content) < expected:
        raise VoiceprintError(
            f"{source} is truncated: {len(content)} of {expected} bytes", hint=_AGAIN
        )
    digest = hashlib.sha256(content[:-_DIGEST_BYTES]).digest()
    if len(content) != expected or digest != content[-_DIGEST_BYTES:]:
        raise VoiceprintError(f"{source} was damaged on the way", hint=_AGAIN)


def _pack(parcels: Sequence[Parcel]) -> bytes:
    entries, parts = [], []
    for parcel in parcels:
        voiceprint, audio = parcel.voiceprint, parcel.audio
        packed = file_format.pack(voiceprint)
        packed_audio = b"" if audio is None else kept_audio.pack(audio)
        entries.append(
            {
                "speaker": voiceprint.speaker,
                "encoder_id": voiceprint.encoder_id,
                "num_bytes": len(packed),
                "enrolled_at": None if audio is None else audio.enrolled_at.isoformat(),
                "audio_bytes": len(packed_audio),
            }
        )
        parts += [packed, packed_audio]
    text = json.dumps(entries).encode()
    return b"".join((LENGTH.pack(len(text)), text, *parts))


def _unpack(body: bytes) -> tuple[Parcel, ...]:
    start = LENGTH.size + LENGTH.unpack_from(body)[0]
    parcels = []
    for entry in read_rows(_Entry, parse_json(body[LENGTH.size : start])):
        end = start + entry.num_bytes
        stop = end + entry.audio_bytes
        speaker, enrolled_at = check_speaker_name(entry.speaker), entry.enrolled_at
        voiceprint = file_format.unpack(
            body[start:end], speaker=speaker, encoder_id=entry.encoder_id
        )
        audio = None
        if enrolled_at is not None:
            audio = kept_audio.unpack(body[end:stop], speaker=speaker, enrolled_at=enrolled_at)
            audio.check(voiceprint)
        parcels.append(Parcel(voiceprint=voiceprint, audio=audio))
        start = stop
    if start != len(body):
        raise ValueError("its voiceprints do not add up to its length")
    return tuple(parcels)
