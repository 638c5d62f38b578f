"""What goes over the control socket: a JSON object per line, in both directions. Pure.

::

    -> {"id": 1, "command": "status"}
    <- {"id": 1, "ok": true, "result": {...}}
    -> {"id": 2, "command": "levels"}
    <- {"id": 2, "ok": false, "error": {"name": "unknown_command", "message": ..., "hint": ...}}
    -> {"id": 3, "command": "watch", "events": ["decision"]}
    <- {"id": 3, "ok": true, "result": {"events": ["decision"]}}
    <- {"event": "decision", ...}

``id`` comes back as it was given, and may be left out. What else a request holds are the command's
parameters. Commands of one connection are answered in their order; events come between answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voiceguard.decisions.wire import to_json
from voiceguard.errors import StateError
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.errors import VoiceguardError

MAX_REQUEST_BYTES = 64 << 10
"""Of one line that a client sends."""
MAX_ANSWER_BYTES = 4 << 20
"""Of one line that the daemon sends: a turn's audio is the longest."""
MAX_ID = 1 << 53
"""What every JSON reader keeps exactly."""


class RequestError(StateError):
    """A request that was not granted; ``name`` says why, for programs.

    ``not_json``, ``line_too_long``, ``bad_request``, ``unknown_command``, ``bad_parameters``,
    ``too_many_clients``, ``failed`` (the message says what), ``internal``.
    """

    def __init__(
        self, name: str, message: str, *, hint: str = "", answer_to: int | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.answer_to = answer_to
        """The request's id, as far as it could be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks for."""

    request_id: int | None
    command: str
    parameters: dict[str, Any]


def parse_request(line: bytes) -> Request:
    """Reads one line of a client.

    Raises:
        RequestError: ``not_json`` or ``bad_request``.
    """
    try:
        values = parse_json_object(line, max_bytes=MAX_REQUEST_BYTES)
    except ValueError as error:
        raise RequestError("not_json", f"the request can't be read: {error}") from error
    request_id, command = values.pop("id", None), values.pop("command", None)
    is_id = type(request_id) is int and abs(request_id) <= MAX_ID
    if request_id is not None and not is_id:
        raise RequestError("bad_request", '"id" must be a whole number, or be left out')
    if not isinstance(command, str):
        raise RequestError("bad_request", '"command" must be a text', answer_to=request_id)
    return Request(request_id=request_id, command=command, parameters=values)


def granted(request_id: int | None, result: Mapping[str, Any]) -> bytes:
    """The answer to a request that was granted."""
    return _line({"id": request_id, "ok": True, "result": result})


def refused(error: RequestError) -> bytes:
    """The answer to one that was not."""
    told = {"name": error.name, "message": str(error), "hint": error.hint}
    return _line({"id": error.answer_to, "ok": False, "error": told})


def failed(error: VoiceguardError) -> RequestError:
    """What a command of ours could not do, as a refusal."""
    return RequestError("failed", str(error), hint=error.hint)


def event_line(name: str, payload: Mapping[str, Any]) -> bytes:
    """An event of that name."""
    return _line({"event": name, **payload})


def _line(values: Mapping[str, Any]) -> bytes:
    return to_json(values).encode() + b"\n"
