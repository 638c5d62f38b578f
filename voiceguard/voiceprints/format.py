r"""One voiceprint as the bytes of one file: an envelope whose header also names the encoder.

::

    body        4 bytes length + JSON (names, times, figures of the takes)
                + embeddings, float32 little endian, (num_templates, embedding_dim)
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - pydantic reads the fields' annotations
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import Template, Voiceprint
from voiceguard.validation.parsing import parse_json_object
from voiceguard.validation.reading import read
from voiceguard.voiceprints import envelope
from voiceguard.voiceprints.envelope import LENGTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.voiceprints.key import StoreKey

MAX_FILE_BYTES = 4 << 20
"""Far above any voiceprint (a template has 768 bytes); a larger file is not one."""


@dataclass(frozen=True, kw_only=True)
class Header(envelope.Header):
    """The readable part of a voiceprint's file."""

    encoder_id: str


_KIND = envelope.Kind(
    magic=b"VGPRINT\n",
    version=1,
    header=Header,
    name="voiceprint",
    remedy="restore the file from a backup, or remove the voiceprint and enroll again",
)


@dataclass(frozen=True, kw_only=True)
class _Take:
    """A template as the body describes it; its embedding follows."""

    net_speech_s: float
    snr_db: float
    created_at: datetime
    label: str


@dataclass(frozen=True, kw_only=True)
class _Document:
    """The readable part of a body."""

    display_name: str
    consent_at: datetime
    created_at: datetime
    updated_at: datetime
    templates: tuple[_Take, ...]


def seal(voiceprint: Voiceprint, key: StoreKey) -> bytes:
    """Encrypts a voiceprint under a fresh nonce."""
    fields = {"encoder_id": voiceprint.encoder_id}
    return envelope.seal(_KIND, voiceprint.speaker, fields, pack(voiceprint), key)


def read_header(content: bytes, speaker: str) -> Header:
    """Reads the plain part of a file that should hold this speaker.

    Raises:
        VoiceprintError: Not a voiceprint, truncated, of a newer format, or another speaker's.
    """
    return envelope.read_header(_KIND, content, speaker)


def unseal(content: bytes, speaker: str, key: StoreKey) -> Voiceprint:
    """Decrypts and checks the file that should hold this speaker.

    Raises:
        VoiceprintError: As ``read_header``, or tampered with.
        StoreKeyError: Sealed with another key.
    """
    header, body = envelope.unseal(_KIND, content, speaker, key)
    try:
        return unpack(body, speaker=header.speaker, encoder_id=header.encoder_id)
    except (ValueError, struct.error) as error:
        raise envelope.not_understood(_KIND, speaker, error) from error


def pack(voiceprint: Voiceprint) -> bytes:
    """The body of a file, not encrypted: all but speaker and encoder, which the header names."""
    document = {
        "display_name": voiceprint.display_name,
        "consent_at": voiceprint.consent_at.isoformat(),
        "created_at": voiceprint.created_at.isoformat(),
        "updated_at": voiceprint.updated_at.isoformat(),
        "templates": [
            {
                "net_speech_s": template.net_speech_s,
                "snr_db": template.snr_db,
                "created_at": template.created_at.isoformat(),
                "label": template.label,
            }
            for template in voiceprint.templates
        ],
    }
    text = json.dumps(document, allow_nan=False).encode()
    embeddings = np.stack([template.embedding for template in voiceprint.templates])
    return LENGTH.pack(len(text)) + text + embeddings.astype("<f4").tobytes()


def unpack(body: bytes, *, speaker: str, encoder_id: str) -> Voiceprint:
    """Reads what ``pack`` made.

    Raises:
        ValueError, struct.error: It was made by something else.
    """
    end = LENGTH.size + LENGTH.unpack_from(body)[0]
    document = read(_Document, parse_json_object(body[LENGTH.size : end]))
    takes = document.templates
    embeddings: NDArray[np.float32] = np.frombuffer(body[end:], "<f4").astype(np.float32)
    embeddings = embeddings.reshape(len(takes), -1)  # (num_templates, embedding_dim)
    with np.errstate(over="ignore", invalid="ignore"):  # what is no number is no unit vector
        norms = np.linalg.norm(embeddings, axis=1)
    if not takes or not np.allclose(norms, 1.0, atol=1e-3):
        raise ValueError("its embeddings are not unit vectors")
    return Voiceprint(
        speaker=speaker,
        display_name=document.display_name,
        encoder_id=encoder_id,
        templates=tuple(
            Template(embedding=embedding, **vars(take))
            for take, embedding in zip(takes, embeddings, strict=True)
        ),
        consent_at=document.consent_at,
        created_at=document.created_at,
        updated_at=document.updated_at,
    )
