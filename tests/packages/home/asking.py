"""A real Home Assistant core as a process of its own, under the Python it is installed for.

``make home-assistant`` installs it into a cache, not into the checkout: 630 MB and a Python 3.13.
Without it a user's run skips, loudly; where services are required and there is a Python 3.13, it is
a failure.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

VERSION = "2026.2.3"
PROGRAM = Path(__file__).with_name("core.py")
START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 120.0
"""It gives each stage of its own end up to a minute, and takes it where the cores are busy."""


def home_assistant() -> Path:
    """The Python that has it; skips the test without, or fails where it must be there."""
    folder = platformdirs.user_cache_path("voiceguard") / f"homeassistant-{VERSION}"
    python = folder / "bin" / "python"
    if python.exists():
        return python
    message = (
        f"no Home Assistant {VERSION} in {folder}: `make home-assistant` (630 MB, Python 3.13)"
    )
    can_be_had = (
        shutil.which("python3.13") or Path("~/.pyenv/versions/3.13.0").expanduser().exists()
    )
    if os.environ.get("VOICEGUARD_REQUIRE_SERVICES") == "1" and can_be_had:
        pytest.fail(message)
    pytest.skip(message)


class HomeAssistant:
    """A running core, and what it has been asked."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self.states: dict[str, dict[str, Any]] = {}
        """Entity id to state and attributes, as of the last look."""

    @property
    def complaints(self) -> list[str]:
        """What it logged as a warning or an error about what we sent.

        Not that a broker was gone, nor what it says to the echo of its own removal of a device.
        """
        lines = self._log.read_text(errors="replace").splitlines()
        return [
            line
            for line in lines
            if line.startswith(("WARNING", "ERROR"))
            and ".mqtt" in line
            and ".mqtt.client:" not in line
            and "No device components to cleanup" not in line
        ]

    async def ask(self, question: str, **parameters: Any) -> Any:  # noqa: ANN401 - JSON
        """The answer to one of ``core.Core``'s questions."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"ask": question, **parameters}).encode() + b"\n")
        await self._process.stdin.drain()
        return await self._answer(ANSWER_TIMEOUT_S)

    async def _answer(self, timeout_s: float) -> Any:  # noqa: ANN401 - JSON
        assert self._process.stdout is not None
        async with asyncio.timeout(timeout_s):
            line = await self._process.stdout.readline()
        assert line, self._log.read_text(errors="replace")[-4000:]
        said = json.loads(line)
        assert "error" not in said, said
        return said["answer"]

    async def until(
        self, is_there: Callable[[dict[str, str]], object], timeout_s: float = 15.0
    ) -> dict[str, str]:
        """Looks until the states (entity id to state) are as wanted; returns them."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        while True:
            self.states = await self.ask("states")
            shown = {name: str(each["state"]) for name, each in self.states.items()}
            if is_there(shown):
                return shown
            assert loop.time() < deadline_s, (shown, self.complaints)
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Ends it, as a restart does; what it stores is stored."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await self._process.wait()


@asynccontextmanager
async def running_core(folder: Path, port: int) -> AsyncIterator[HomeAssistant]:
    """Starts a core over a configuration directory that outlives it."""
    python = home_assistant()
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - in a test's own directory
    log = folder / "core.log"
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *(str(python), str(PROGRAM), str(folder), str(port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            limit=1 << 24,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        )
    core = HomeAssistant(process, log)
    try:
        assert await core._answer(START_TIMEOUT_S) == "ready"
        yield core
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
