"""The other side of the control socket, for commands: blocking, one thread.

::

    with ControlClient(state) as daemon:
        daemon.call("status")["state"]
        daemon.call("watch", events=["decision"])
        for event in daemon.events():
            ...
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from voiceguard.control.place import connect, control_socket
from voiceguard.control.protocol import MAX_ANSWER_BYTES, RequestError
from voiceguard.decisions.wire import to_json
from voiceguard.errors import StateError
from voiceguard.validation.parsing import parse_json_object

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

ANSWER_TIMEOUT_S = 12.0
"""A little longer than the daemon gives itself."""
_READ_BYTES = 1 << 16
_NO_DAEMON = "`voiceguard run` starts one; is --state-dir the same?"


class ControlClient:
    """A connection to the daemon of a state directory. A context manager.

    Args:
        state: The state directory.

    Raises:
        StateError: No daemon is running there, or it is somebody else's.
    """

    def __init__(self, state: Path) -> None:
        self._path = control_socket(state)
        try:
            self._socket: socket.socket = connect(state, ANSWER_TIMEOUT_S)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            raise StateError(f"no voiceguard is running on {state}", hint=_NO_DAEMON) from error
        except OSError as error:
            raise StateError(
                f"cannot reach the daemon by {self._path}: {error.strerror}",
                hint="run this as the user that the daemon runs as",
            ) from error
        self._next_id = 0
        self._buffer = b""
        self._events: deque[dict[str, Any]] = deque()

    def call(self, command: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
        """Gives a command and waits for its result; events that come meanwhile are kept.

        Raises:
            RequestError: It was refused; ``name`` says why.
            StateError: The daemon has gone, or does not answer.
        """
        self._next_id += 1
        request = {"id": self._next_id, "command": command, **parameters}
        with contextlib.suppress(OSError):  # who has hung up may have said why
            self._socket.sendall(to_json(request).encode() + b"\n")
        until_s = time.monotonic() + ANSWER_TIMEOUT_S
        while (message := self._message(until_s)) is not None:
            if "event" in message:
                self._events.append(message)
            elif message.get("id") in {self._next_id, None}:
                return _result_of(message)
        raise StateError(
            f"the daemon has not answered {command} for {ANSWER_TIMEOUT_S:g} s",
            hint="is the machine overloaded? `voiceguard doctor`",
        )

    def events(self) -> Iterator[dict[str, Any]]:
        """What is watched, as it happens; ends never.

        Raises:
            StateError: The daemon has gone.
        """
        while True:
            if (event := self.next_event()) is not None:
                yield event

    def next_event(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """The next one; None where none has come for so long.

        Args:
            timeout_s: None: waits for ever.

        Raises:
            StateError: The daemon has gone.
        """
        if self._events:
            return self._events.popleft()
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while (message := self._message(until_s)) is not None:
            if "event" in message:
                return message
        return None

    def fileno(self) -> int:
        """For ``select``; what was read already is not seen by it."""
        return self._socket.fileno()

    def close(self) -> None:
        """Leaves. Safe to call twice."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _message(self, until_s: float | None) -> dict[str, Any] | None:
        """The next line; None where there is none by then."""
        while b"\n" not in self._buffer:
            left_s = None if until_s is None else until_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return None
            self._socket.settimeout(left_s)
            try:
                received = self._socket.recv(_READ_BYTES)
            except TimeoutError:
                return None
            except OSError as error:
                raise self._gone() from error
            if not received or len(self._buffer) > MAX_ANSWER_BYTES:
                raise self._gone()
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            return parse_json_object(line, max_bytes=MAX_ANSWER_BYTES)
        except ValueError as error:
            raise StateError(f"the daemon at {self._path} answers nonsense: {error}") from error

    def _gone(self) -> StateError:
        return StateError("the daemon has ended", hint="its log says why; `voiceguard run`")


def _result_of(message: dict[str, Any]) -> dict[str, Any]:
    if message.get("ok") is True and isinstance(result := message.get("result"), dict):
        return result
    told = message.get("error")
    told = told if isinstance(told, dict) else {}
    raise RequestError(
        str(told.get("name", "internal")),
        str(told.get("message", "the daemon refuses, and does not say why")),
        hint=str(told.get("hint", "")),
    )
