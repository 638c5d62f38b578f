"""What a lock and the daemon say to each other besides envelopes: requests in, notices out. Pure.

A request is ``{"version":1,"nonce":"<64 hexadecimal digits>"}``. A notice is for people and
programs that wait, is not signed, and opens nothing::

    {"version":1,"nonce":"...","state":"opened","seconds":20.0}
    {"version":1,"nonce":"...","state":"opened","seconds":10.0,"digits":"471902"}
    {"version":1,"nonce":"...","state":"refused","reason":"locked_out","seconds":42.0}

| state | meaning |
|---|---|
| `opened` | speak now; `seconds` are left; say the `digits`, where there are any |
| `unclear` | what was heard could not be judged (`reason`: `too_short`, ...); still open |
| `failed` | another voice; `failures` in a row; `seconds` to the next request, null: a reset |
| `expired` | nobody spoke |
| `refused` | not opened; `reason`: see `Refusal`; `seconds` where waiting helps |
"""

from __future__ import annotations

import json
import math
from enum import StrEnum
from typing import Any

from voiceguard.errors import EnvelopeError
from voiceguard.unlock.envelope import check_nonce
from voiceguard.validation.parsing import parse_json_object

REQUEST_VERSION = 1
MAX_REQUEST_BYTES = 256
MAX_NOTICE_BYTES = 1024
MAX_SECONDS = 60.0
"""No request is open for longer."""


class Refusal(StrEnum):
    """Why a request is not opened."""

    BUSY = "busy"
    """Another one is open for this action."""
    LOCKED_OUT = "locked_out"
    OFF = "off"
    """Ten failures: `voiceguard unlock reset` on the daemon's machine."""
    UNKNOWN_SPEAKER = "unknown_speaker"
    """The settings name somebody who is not enrolled."""
    STORAGE = "storage"
    """Counters or audit log can't be written."""
    SPEECH_TO_TEXT = "speech_to_text"
    """The answer to a challenge could not be read."""
    UNAVAILABLE = "unavailable"
    """The daemon does not listen now."""


def read_request(payload: bytes) -> str:
    """The nonce of a request.

    Raises:
        EnvelopeError: It is no request.
    """
    try:
        request = parse_json_object(payload, max_bytes=MAX_REQUEST_BYTES)
    except ValueError as error:
        raise EnvelopeError(f"the request can't be read: {error}") from error
    if request.keys() != {"version", "nonce"} or request["version"] != REQUEST_VERSION:
        raise EnvelopeError(f'a request is {{"version":{REQUEST_VERSION},"nonce":"..."}}')
    return check_nonce(request["nonce"])


def request_payload(nonce: str) -> bytes:
    """What a consumer publishes."""
    return _json({"version": REQUEST_VERSION, "nonce": nonce})


def notice_payload(nonce: str, state: str, **about: Any) -> bytes:  # noqa: ANN401 - JSON values
    """What the daemon tells; endless waits are null."""
    said = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in about.items()
    }
    return _json({"version": REQUEST_VERSION, "nonce": nonce, "state": state, **said})


def read_notice(payload: bytes) -> dict[str, Any] | None:
    """A notice with its nonce and state, ``seconds`` a number or None; None: it is no notice."""
    try:
        notice = parse_json_object(payload, max_bytes=MAX_NOTICE_BYTES)
    except ValueError:
        return None
    seconds = notice.setdefault("seconds", None)
    if not isinstance(notice.get("state"), str) or not isinstance(notice.get("nonce"), str):
        return None
    if notice["state"] == "opened" and not (
        isinstance(seconds, int | float) and 0 <= seconds <= MAX_SECONDS
    ):
        return None
    return notice


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
