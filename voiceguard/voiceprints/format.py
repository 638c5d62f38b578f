r"""One voiceprint as the bytes of one file: an envelope whose header also names the encoder.

::

    body        4 bytes length + JSON (names, times, figures of the takes)
                + embeddings, float32 little endian, (num_templates, embedding_dim)
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.errors import VoiceprintError
from voiceguard.types import Template, Voiceprint
from voiceguard.voiceprints import envelope
from voiceguard.voiceprints.envelope import LENGTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.voiceprints.key import StoreKey

MAX_FILE_BYTES = 4 << 20
"""Far above any voiceprint (a template has 768 bytes); a larger file is not one."""

_KIND = envelope.Kind(
    magic=b"VGPRINT\n",
    version=1,
    name="voiceprint",
    remedy="restore the file from a backup, or remove the voiceprint and enroll again",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The readable part of a file. To be believed only after the body was unsealed under it."""

    speaker: str
    encoder_id: str
    key_id: str


def seal(voiceprint: Voiceprint, key: StoreKey) -> bytes:
    """Encrypts a voiceprint under a fresh nonce."""
    fields = {"encoder_id": voiceprint.encoder_id}
    return envelope.seal(_KIND, voiceprint.speaker, fields, pack(voiceprint), key)


def read_header(content: bytes, speaker: str) -> Header:
    """Reads the plain part of a file that should hold this speaker.

    Raises:
        VoiceprintError: Not a voiceprint, truncated, of a newer format, or another speaker's.
    """
    return _header(envelope.read_header(_KIND, content, speaker))


def unseal(content: bytes, speaker: str, key: StoreKey) -> Voiceprint:
    """Decrypts and checks the file that should hold this speaker.

    Raises:
        VoiceprintError: As ``read_header``, or tampered with.
        StoreKeyError: Sealed with another key.
    """
    fields, body = envelope.unseal(_KIND, content, speaker, key)
    header = _header(fields)
    try:
        return unpack(body, speaker=header.speaker, encoder_id=header.encoder_id)
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise envelope.not_understood(_KIND, speaker, error) from error


def _header(fields: dict[str, Any]) -> Header:
    speaker = str(fields["speaker"])
    try:
        encoder_id = str(fields["encoder_id"])
    except KeyError as error:
        raise VoiceprintError(
            f"the voiceprint of {speaker!r} has a damaged header", hint=_KIND.remedy
        ) from error
    return Header(speaker=speaker, encoder_id=encoder_id, key_id=str(fields["key_id"]))


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
        KeyError, TypeError, ValueError, struct.error: It was made by something else.
    """
    end = LENGTH.size + LENGTH.unpack_from(body)[0]
    document: dict[str, Any] = json.loads(body[LENGTH.size : end])
    takes: list[dict[str, Any]] = document["templates"]
    embeddings: NDArray[np.float32] = np.frombuffer(body[end:], "<f4").astype(np.float32)
    embeddings = embeddings.reshape(len(takes), -1)  # (num_templates, embedding_dim)
    norms = np.linalg.norm(embeddings, axis=1)
    if not takes or not np.allclose(norms, 1.0, atol=1e-3):
        raise ValueError("its embeddings are not unit vectors")
    templates = tuple(
        Template(
            embedding=embedding,
            net_speech_s=float(take["net_speech_s"]),
            snr_db=float(take["snr_db"]),
            created_at=datetime.fromisoformat(take["created_at"]),
            label=str(take["label"]),
        )
        for take, embedding in zip(takes, embeddings, strict=True)
    )
    return Voiceprint(
        speaker=speaker,
        display_name=str(document["display_name"]),
        encoder_id=encoder_id,
        templates=templates,
        consent_at=datetime.fromisoformat(document["consent_at"]),
        created_at=datetime.fromisoformat(document["created_at"]),
        updated_at=datetime.fromisoformat(document["updated_at"]),
    )
