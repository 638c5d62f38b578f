"""Brings the control socket's events to the screen, on a thread that may wait.

In: the state directory of a daemon. Out: events, in batches, as they come. Where no daemon runs one
is started for as long as the screen lives, with its log beside the state.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from voiceguard.control.client import ControlClient
from voiceguard.errors import StateError
from voiceguard.paths import make_private_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

EVENTS = ["level", "progress", "decision", "losses", "status"]
START_TIMEOUT_S = 60.0
"""For loading the encoder on a slow machine."""
UNWELL_S = 2.0
"""A daemon that ends for the same reason has ended by then."""
POLL_S = 0.2
RETRY_S = 1.0
STOP_TIMEOUT_S = 4.0
LOG_NAME = "monitor.log"
_LISTENS = {"listening", "disarmed"}


class OwnDaemon:
    """``voiceguard run`` as a child, where none is running; a context manager.

    Args:
        state: The state directory.
        arguments: For ``voiceguard run``.

    Raises:
        StateError: It ended before it could be asked; the message ends as its log does.
    """

    def __init__(self, state: Path, arguments: Sequence[str]) -> None:
        make_private_dir(state)
        self.log = state / LOG_NAME
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # this program
                [sys.executable, "-m", "voiceguard", "run", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the screen's
            )
        self._state = state

    def wait(self) -> None:
        """Until it listens, or says for a while why it can't."""
        until_s = time.monotonic() + START_TIMEOUT_S
        unwell_until_s: float | None = None
        while (now_s := time.monotonic()) < until_s:
            if self._process.poll() is not None:
                last = self.log.read_text(errors="replace").strip().splitlines()[-3:]
                raise StateError(
                    "the daemon could not start: " + " ".join(last),
                    hint=f"its log is {self.log}; `voiceguard doctor`",
                )
            state = _state_of(self._state)
            if state in _LISTENS:
                return
            if state == "unavailable":  # the screen says why, unless that ends it at once
                unwell_until_s = unwell_until_s or now_s + UNWELL_S
                if now_s >= unwell_until_s:
                    return
            time.sleep(POLL_S)
        raise StateError(
            f"the daemon has not started for {START_TIMEOUT_S:g} s", hint=f"its log is {self.log}"
        )

    def stop(self) -> None:
        """Ends it as a signal does."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
            return
        self._process.kill()
        self._process.wait()


def is_running(state: Path) -> bool:
    """Whether a daemon answers there."""
    return _state_of(state) is not None


def _state_of(state: Path) -> str | None:
    """What the daemon there says; None: there is none."""
    try:
        with ControlClient(state) as daemon:
            return str(daemon.call("status")["state"])
    except StateError:
        return None


def events(state: Path, is_over: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """What happens in the daemon; goes on with the next one where it was restarted.

    Args:
        state: The state directory.
        is_over: Whether nobody looks any more.

    Yields:
        The socket's events, one ``status`` first; and ``{"event": "gone", "reason": ...}`` while no
        daemon is there.
    """
    while not is_over():
        try:
            with ControlClient(state) as daemon:
                yield {"event": "status", **daemon.call("status")}
                daemon.call("watch", events=EVENTS)
                while not is_over():
                    if (event := daemon.next_event(POLL_S)) is not None:
                        yield event
        except StateError as error:
            yield {"event": "gone", "reason": f"{error}; {error.hint}"}
            time.sleep(RETRY_S)


def tell(state: Path, command: str) -> None:
    """Gives a command.

    Raises:
        StateError: No daemon is there.
        RequestError: It was refused.
    """
    with ControlClient(state) as daemon:
        daemon.call(command)
