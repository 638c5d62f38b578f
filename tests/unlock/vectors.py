"""Envelopes for whoever writes a verifier in another language: ``docs/unlock-vectors.json``.

``python -m tests.unlock.vectors`` writes it anew. Ed25519 is deterministic: it is always the same.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from voiceguard.unlock.envelope import Envelope, seal
from voiceguard.unlock.keys import public_text

FILE = Path(__file__).resolve().parents[2] / "docs" / "unlock-vectors.json"

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
NONCE = "c0ffee" * 10 + "0123"
ACTION = "front-door"
LAST_SEQUENCE = 1_796_000_000

ENVELOPE = Envelope(
    node="hall",
    action=ACTION,
    nonce=NONCE,
    speaker="anna",
    stream="microphone",
    policy="challenge",
    llr=8.25,
    p_fa=0.001,
    issued_at_ms=1_796_000_100_000,
    expires_at_ms=1_796_000_105_000,
    waited_ms=3200,
    boot_id="0123456789abcdef0123456789abcdef",
    sequence=LAST_SEQUENCE + 1,
)


def altered_payload(old: bytes, new: bytes) -> bytes:
    """Signed with the right key, and not as the table of fields says."""
    payload = seal(ENVELOPE, KEY)[64:]
    assert old in payload
    payload = payload.replace(old, new)
    return KEY.sign(payload) + payload


def _flipped(message: bytes, at: int) -> bytes:
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


def _cases() -> list[tuple[str, int, bytes, bool]]:
    """What it is, milliseconds since the request, the message, whether it opens."""
    right = seal(ENVELOPE, KEY)
    last = seal(replace(ENVELOPE, sequence=LAST_SEQUENCE), KEY)
    other = seal(replace(ENVELOPE, nonce="ab" * 32), KEY)
    garage = seal(replace(ENVELOPE, action="garage"), KEY)
    long = altered_payload(b'"expires_at_ms":1796000105000', b'"expires_at_ms":1796000106000')
    return [
        ("it answers the open request", 3400, right, True),
        ("the last moment: 5000 ms old at most", 8200, right, True),
        ("expired by a millisecond", 8201, right, False),
        ("it came before the daemon says that it was made", 3149, right, False),
        ("a bit of the signature", 3400, _flipped(right, 10), False),
        ("a bit of the payload", 3400, _flipped(right, 200), False),
        ("another key", 3400, seal(ENVELOPE, OTHER_KEY), False),
        ("cut off", 3400, right[:-1], False),
        ("a byte more", 3400, right + b" ", False),
        ("the signature alone", 3400, right[:64], False),
        ("nothing", 3400, b"", False),
        ("too long", 3400, right + b" " * 2048, False),
        ("the nonce of another request", 3400, other, False),
        ("another action", 3400, garage, False),
        ("a sequence number that was seen", 3400, last, False),
        ("a life of 6 s, signed", 3400, long, False),
        ("another version, signed", 3400, altered_payload(b'"version":1', b'"version":2'), False),
        ("another type, signed", 3400, altered_payload(b"voiceguard-unlock", b"x"), False),
        ("a field more, signed", 3400, altered_payload(b'"node"', b'"x":1,"node"'), False),
        ("a field less, signed", 3400, altered_payload(b'"waited_ms":3200,', b""), False),
        ("a text for a number, signed", 3400, altered_payload(b":3200,", b':"3200",'), False),
        ("no JSON, signed", 3400, KEY.sign(b"{") + b"{", False),
    ]


def document() -> dict[str, Any]:
    """The file's content."""
    return {
        "public_key": public_text(KEY),
        "action": ACTION,
        "nonce": NONCE,
        "last_sequence": LAST_SEQUENCE,
        "slack_ms": 50,
        "cases": [
            {"what": what, "passed_ms": passed_ms, "opens": opens, "message": message.hex()}
            for what, passed_ms, message, opens in _cases()
        ],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(document(), indent=1) + "\n", encoding="utf-8")
