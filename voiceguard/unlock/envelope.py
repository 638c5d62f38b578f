"""The envelope: what the daemon signs for a lock, and its one form on the wire. Pure and light.

64 bytes of Ed25519 signature, then the payload that it signs: JSON, exactly as it was sent. Nothing
is parsed, decoded or put into order before the signature holds, and no byte can be changed.

| field | type | meaning |
|---|---|---|
| `type` | string | `voiceguard-unlock` |
| `version` | integer | 1: the version of this table |
| `node` | string | the daemon's `mqtt.node_id` |
| `action` | string | what may happen |
| `nonce` | string | of the consumer's own request: 32 bytes as 64 hexadecimal digits |
| `speaker` | string | whose voice it was |
| `stream` | string | the microphone that heard it |
| `policy` | string | `voice`: the voice alone; `challenge`: and the digits that were asked for |
| `llr` | number | natural logarithm, of that speaker |
| `p_fa` | number | false accepts per attempt of a stranger, at the threshold that it passed |
| `issued_at_ms` | integer | wall clock of the daemon, milliseconds since 1970, UTC; to be shown |
| `expires_at_ms` | integer | likewise; at most 5000 later |
| `waited_ms` | integer | from the request's arrival at the daemon to this envelope |
| `boot_id` | string | of the daemon's machine: 32 hexadecimal digits |
| `sequence` | integer | rises with every envelope of this key, over restarts and boots |

There are no other fields, and none is missing.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from voiceguard.errors import EnvelopeError
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TYPE = "voiceguard-unlock"
VERSION = 1
SIGNATURE_BYTES = 64
MAX_BYTES = 2048
"""Ours have about 600; more is nobody's envelope and is not looked at."""
NONCE_BYTES = 32
MAX_LIFETIME_MS = 5000

Level = Literal["voice", "challenge"]

_HEX = {"nonce": 2 * NONCE_BYTES, "boot_id": 32}
_MAX_TEXT = 200
_MAX_WHOLE = 2**53 - 1
"""Beyond it JavaScript's numbers are no longer whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What was signed; the module docstring has the fields.

    Raises:
        EnvelopeError: A value is of the wrong kind or out of range; the message names it.
    """

    node: str
    action: str
    nonce: str
    speaker: str
    stream: str
    policy: Level
    llr: float
    p_fa: float
    issued_at_ms: int
    expires_at_ms: int
    waited_ms: int
    boot_id: str
    sequence: int

    def __post_init__(self) -> None:
        for name in _TEXTS:
            _check_text(name, getattr(self, name))
        for name in _WHOLE:
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= _MAX_WHOLE:
                raise EnvelopeError(f"{name} must be a whole number from 0 to {_MAX_WHOLE}")
        for name in ("llr", "p_fa"):
            value = getattr(self, name)
            if type(value) not in {int, float} or not math.isfinite(value):
                raise EnvelopeError(f"{name} must be a finite number")
        if not 0 < self.lifetime_ms <= MAX_LIFETIME_MS:
            raise EnvelopeError(
                f"expires_at_ms must be 1 to {MAX_LIFETIME_MS} after issued_at_ms, "
                f"not {self.lifetime_ms}"
            )

    @property
    def lifetime_ms(self) -> int:
        """How long it may be acted on."""
        return self.expires_at_ms - self.issued_at_ms


_TEXTS = ("node", "action", "nonce", "speaker", "stream", "policy", "boot_id")
_WHOLE = ("issued_at_ms", "expires_at_ms", "waited_ms", "sequence")
_NAMES = {"type", "version", *(each.name for each in fields(Envelope))}


def seal(envelope: Envelope, key: Ed25519PrivateKey) -> bytes:
    """The message: signature, then payload."""
    content = {"type": TYPE, "version": VERSION, **asdict(envelope)}
    payload = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    message = key.sign(payload) + payload
    if len(message) > MAX_BYTES:
        raise EnvelopeError(f"an envelope has at most {MAX_BYTES} bytes, not {len(message)}")
    return message


def split(message: bytes) -> tuple[bytes, bytes]:
    """Signature and payload, unchecked.

    Raises:
        EnvelopeError: It is too short or too long for one.
    """
    if not SIGNATURE_BYTES < len(message) <= MAX_BYTES:
        raise EnvelopeError(
            f"an envelope has {SIGNATURE_BYTES + 1} to {MAX_BYTES} bytes, not {len(message)}"
        )
    return message[:SIGNATURE_BYTES], message[SIGNATURE_BYTES:]


def read_payload(payload: bytes) -> Envelope:
    """Reads a payload whose signature holds.

    Raises:
        EnvelopeError: It is not what the module docstring says.
    """
    try:
        content = parse_json_object(payload, max_bytes=MAX_BYTES)
    except ValueError as error:
        raise EnvelopeError(f"the payload can't be read: {error}") from error
    if content.get("type") != TYPE or content.get("version") != VERSION:
        raise EnvelopeError(f"the payload is no {TYPE} of version {VERSION}")
    if content.keys() != _NAMES:
        wrong = ", ".join(sorted(content.keys() ^ _NAMES))
        raise EnvelopeError(f"fields are missing or unknown: {wrong[:_MAX_TEXT]}")
    values: dict[str, Any] = {
        name: value for name, value in content.items() if name not in {"type", "version"}
    }
    return Envelope(**values)


def check_nonce(nonce: object) -> str:
    """A nonce as a request carries it.

    Raises:
        EnvelopeError: It is not 32 bytes as hexadecimal digits in lower case.
    """
    _check_text("nonce", nonce)
    assert isinstance(nonce, str)
    return nonce


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise EnvelopeError(f"{name} must be a text of 1 to {_MAX_TEXT} characters")
    if name in _HEX and not re.fullmatch(f"[0-9a-f]{{{_HEX[name]}}}", value):
        raise EnvelopeError(
            f"{name} must be {_HEX[name]} hexadecimal digits in lower case "
            f"({_HEX[name] // 2} bytes), not {len(value)} characters"
        )
    if name == "policy" and value not in get_args(Level):
        raise EnvelopeError(f"policy must be one of {', '.join(get_args(Level))}")
