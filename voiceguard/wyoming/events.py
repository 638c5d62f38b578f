"""Events as they lie on the wire, within bounds: a JSON line, JSON data, a payload.

In: a stream that anybody may have written. Out: one event at a time, with its own bytes, so that
what is passed on is passed on untouched. The package ``wyoming`` has the events' meaning; reading
is ours, since it would wait for any length that a line states and take any JSON.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from wyoming.event import Event
from wyoming.version import __version__ as PROTOCOL_VERSION  # noqa: N812 - the wire's name for it

from voiceguard.errors import AudioError
from voiceguard.validation.parsing import parse_json_object

MAX_HEADER_BYTES = 64 << 10
MAX_DATA_BYTES = 1 << 20
"""The longest are lists of a speech-to-text's models: some 100 kB."""
MAX_PAYLOAD_BYTES = 1 << 20
"""32 s of the assistant's audio; who streams sends some hundredths of a second."""
MAX_TYPE = 64


class WyomingError(AudioError):
    """What a peer must not send. ``code`` is for programs, as the protocol's errors have one."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Received:
    """An event, and the bytes that it came in."""

    event: Event
    raw: bytes


async def receive(reader: asyncio.StreamReader) -> Received | None:
    """Reads the next event; None at the end of the stream.

    Args:
        reader: With a limit of MAX_HEADER_BYTES.

    Raises:
        WyomingError: It is none, or larger than an event may be; nothing after it can be read.
        ConnectionError: The peer is gone.
    """
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise WyomingError("bad-event", "the stream ends inside an event") from None
        return None
    except asyncio.LimitOverrunError:
        message = f"an event's line has more than {MAX_HEADER_BYTES} bytes"
        raise WyomingError("bad-event", message) from None
    header = _object(line, "line", MAX_HEADER_BYTES)
    event_type, data = header.get("type"), header.get("data")
    if not isinstance(event_type, str) or not 0 < len(event_type) <= MAX_TYPE:
        raise WyomingError("bad-event", "an event has no type")
    if data is not None and not isinstance(data, dict):
        raise WyomingError("bad-event", f"the data of {event_type!r} is no object")
    num_data = _length(header, "data_length", MAX_DATA_BYTES)
    num_payload = _length(header, "payload_length", MAX_PAYLOAD_BYTES)
    try:
        more = await reader.readexactly(num_data)
        payload = await reader.readexactly(num_payload)
    except asyncio.IncompleteReadError:
        raise WyomingError("bad-event", "the stream ends inside an event") from None
    values = {**(data or {}), **(_object(more, "data", MAX_DATA_BYTES) if more else {})}
    return Received(Event(event_type, values, payload or None), line + more + payload)


def encoded(event: Event) -> bytes:
    """An event of ours, as it goes over the wire."""
    data = json.dumps(event.data, ensure_ascii=False).encode() if event.data else b""
    payload = event.payload or b""
    header = {"type": event.type, "version": PROTOCOL_VERSION}
    lengths = {"data_length": len(data), "payload_length": len(payload)}
    line = json.dumps({**header, **{name: num for name, num in lengths.items() if num}})
    return line.encode() + b"\n" + data + payload


def _object(raw: bytes, what: str, max_bytes: int) -> dict[str, Any]:
    try:
        return parse_json_object(raw, max_bytes=max_bytes)
    except ValueError as error:
        raise WyomingError("bad-event", f"an event's {what} can't be read: {error}") from error


def _length(header: dict[str, Any], name: str, most: int) -> int:
    length = header.get(name)
    if length is None:
        return 0
    if type(length) is not int or not 0 <= length <= most:
        shown = length if isinstance(length, int | float) else type(length).__name__
        raise WyomingError(
            "bad-event", f"an event's {name} must be a whole number up to {most}, not {shown}"
        )
    return length
