"""How the daemon behaves as a service: arming, restarts, and words to systemd."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from voiceguard.errors import StateError
from voiceguard.paths import PRIVATE_FILE_MODE, is_there, make_private_dir

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """The [service] table of voiceguard.toml."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    start: Literal["armed", "disarmed", "as_before"] = "as_before"
    """Whether it listens after a start; ``as_before``: as it was left, armed the first time."""
    inference_timeout_s: float = 10.0
    """An inference that takes longer makes the daemon unavailable, and systemd restart it."""
    voiceprint_poll_s: float = 1.0
    """How often the store is looked at for speakers added, changed or removed."""
    status_interval_s: float = 30.0
    """How often the published counters are refreshed; changes of state are published at once."""

    def __post_init__(self) -> None:
        for name in ("inference_timeout_s", "voiceprint_poll_s", "status_interval_s"):
            if not 0.1 <= (value := getattr(self, name)) <= 3600:  # noqa: PLR2004
                raise ValueError(f"{name} must be between 0.1 and 3600, not {value}")


def notify_systemd(*assignments: str) -> bool:
    """Sends state such as ``READY=1`` to systemd; without systemd nothing happens.

    A datagram to ``$NOTIFY_SOCKET`` is all that sd_notify(3) is.

    Returns:
        Whether there was a systemd that took it.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    try:
        with socket.socket(socket.AF_UNIX, kind) as sock:
            sock.sendto("\n".join(assignments).encode(), address)
    except OSError:  # a stale variable, or nobody reads; a real systemd will notice the silence
        return False
    return True


def wants_watchdog() -> bool:
    """Whether systemd restarts this process when it does not say ``WATCHDOG=1`` every so often."""
    is_for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return is_for_us and bool(os.environ.get("WATCHDOG_USEC"))


class ArmedSwitch:
    """Whether the daemon is meant to listen, and what it was before the last restart.

    Args:
        state: The state directory.
        start: The setting ``service.start``.
    """

    def __init__(self, state: Path, start: Literal["armed", "disarmed", "as_before"]) -> None:
        self._file = state / "disarmed"
        self.is_armed = start == "armed" or (start == "as_before" and not is_there(self._file))

    def remember(self) -> None:
        """Leaves or removes the mark that says *disarmed*. Blocking."""
        try:
            if self.is_armed:
                self._file.unlink(missing_ok=True)
            else:
                make_private_dir(self._file.parent)
                self._file.touch(mode=PRIVATE_FILE_MODE)
        except OSError as error:
            raise StateError(
                f"cannot remember in {self._file} whether to listen: {error.strerror}",
                hint="free some disk space, or mend the permissions of that directory",
            ) from error
