"""Words to systemd: ready, watchdog, stopping."""

from __future__ import annotations

import os
import socket


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
