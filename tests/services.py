"""Programs that integration tests need: absent, a user's run skips loudly and CI fails."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Real speech and noise beside the checkout of developers and CI; users do not have it."""

needs_shared = pytest.mark.skipif(
    not (SHARED / "speech" / "manifest.csv").is_file(),
    reason=f"{SHARED}/speech is not here (it is beside developers' and CI's checkouts only)",
)


def require_program(name: str, *, make: str = "services") -> str:
    """The path of a program; skips the test without it, or fails where services are required."""
    search = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin"
    path = shutil.which(name, path=search)
    if path is not None:
        return path
    message = f"{name} is not installed: run `make {make}` as root"
    if os.environ.get("VOICEGUARD_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)


_PORTS = range(10_000, 32_000)
"""Below those that the system itself gives, to any client at any moment."""
_next_port = itertools.count(os.getpid() * 131)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on, and that no other test will be given.

    For what must know it before it is bound, and for what nobody shall listen on.
    """
    while True:
        port = _PORTS[next(_next_port) % len(_PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
