"""Events as a hostile peer makes them: good ones, changed where it hurts. Seeded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

FORM = {"rate": 16_000, "width": 2, "channels": 1}
_GOOD: list[dict[str, Any]] = [
    {"type": "describe"},
    {"type": "ping", "data": {"text": "x"}},
    {"type": "transcribe", "data": {"language": "en"}},
    {"type": "audio-start", "data": FORM},
    {"type": "audio-chunk", "data": FORM, "payload": 640},
    {"type": "audio-stop", "data": {"timestamp": None}},
    {"type": "info", "data": {"asr": [{"name": "x", "models": []}]}},
    {"type": "transcript", "data": {"text": "yes", "context": {"a": 1}}},
    {"type": "transcript-start", "data": {}},
    {"type": "transcript-chunk", "data": {"text": "y"}},
    {"type": "transcript-stop"},
    {"type": "error", "data": {"text": "no"}},
]
_ODD: list[Any] = [
    *(None, True, -1, 0, 1, 2**31, 2**40, 2**63, 10**25, 0.5, 1e308, "", "x", "audio-chunk"),
    *("\ud800", "é" * 300, [], [[]], {}, {"a": {"b": [1, {}]}}, {"text": None}, [{"name": 3}]),
]


def mutated(dice: random.Random) -> bytes:
    """One event; three of four are changed in some place, or broken as bytes."""
    event = json.loads(json.dumps(dice.choice(_GOOD)))
    payload = dice.randbytes(event.pop("payload", 0))
    header = dict(event)
    data = (
        json.dumps(header.pop("data")).encode() if dice.random() < 0.5 and "data" in event else b""
    )
    if data:
        header["data_length"] = len(data)
    if payload:
        header["payload_length"] = len(payload)
    kind = dice.randrange(8)
    if kind == 0:
        header[dice.choice(["type", "data", "data_length", "payload_length", "x"])] = dice.choice(
            _ODD
        )
    elif kind == 1 and isinstance(header.get("data"), dict):
        header["data"][dice.choice(["rate", "width", "channels", "text", "asr"])] = dice.choice(
            _ODD
        )
    elif kind == 2 and data:
        data = json.dumps(dice.choice(_ODD)).encode()
        header["data_length"] = len(data)
    elif kind == 3:
        payload = dice.randbytes(dice.randrange(9))
        header["payload_length"] = len(payload)
    raw = json.dumps(header).encode() + b"\n" + data + payload
    if kind == 4:
        place = dice.randrange(len(raw))
        raw = raw[:place] + dice.randbytes(1) + raw[place + dice.randrange(2) :]
    elif kind == 5:
        raw = raw[: dice.randrange(len(raw))]
    return raw
