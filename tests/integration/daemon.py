"""The daemon as its own process, as a user or systemd starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

READY_TIMEOUT_S = 60.0


class DaemonProcess:
    """A running ``voiceguard run``.

    Attributes:
        process: The process.
        log: Its standard error so far.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Sends the signal and waits; returns how many seconds it took."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        await self.process.wait()
        return loop.time() - began_s


@asynccontextmanager
async def running_daemon(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[DaemonProcess]:
    """Starts the daemon and waits until it tells systemd that it is ready; kills it at the end."""
    log = folder / "daemon.log"
    address = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, log.open("wb") as file:
        systemd.bind(address)
        systemd.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voiceguard", "run", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=file,
            env={
                **(environment or os.environ),
                "NOTIFY_SOCKET": address,
                "VOICEGUARD_STATE_DIR": str(folder / "state"),
                "VOICEGUARD_MQTT__NODE_ID": "test",
            },
        )
        daemon = DaemonProcess(process, log)
        try:
            await _until_ready(systemd, daemon)
            yield daemon
        finally:
            await daemon.stop(signal.SIGKILL)


async def _until_ready(systemd: socket.socket, daemon: DaemonProcess) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(READY_TIMEOUT_S):
        while True:
            assert daemon.process.returncode is None, daemon.log
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    if b"READY=1" in await loop.sock_recv(systemd, 4096):
                        return
