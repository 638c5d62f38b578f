"""From a clean broker to the first accept over MQTT: how long voiceguard itself takes.

::

    python -m tests.packages.first_minutes        # with the voiceguard beside this Python
    python -m tests.packages.first_minutes BIN    # with BIN/voiceguard, of a clean environment

Starts a mosquitto, subscribes to it as somebody else, sets up unattended with a recorded person,
starts the daemon on a recording of the same voice, and stops the clock at the accept. Prints one
line of JSON: seconds of the clock, and processor seconds of both commands.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt

from tests.integration.mosquitto import mosquitto
from tests.recordings import TAKES

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCEPT_WITHIN_S = 120.0


async def measure(command: list[str], folder: Path) -> dict[str, Any]:
    """Runs it all in an empty folder.

    Args:
        command: What stands for ``voiceguard``.
        folder: Gets configuration, state and the broker's files.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VOICEGUARD_")},
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
        "HOME": str(folder),
    }
    async with (
        mosquitto(folder / "broker") as broker,
        aiomqtt.Client("localhost", broker.port) as client,
    ):
        await client.subscribe("voiceguard/+/decision")
        began = os.times()
        recorded = [each for take in TAKES[:3] for each in ("--from", str(take))]
        setup = await asyncio.create_subprocess_exec(
            *(*command, "setup", "--unattended", "--broker", broker.url, "--person", "Robin"),
            *(*recorded, "--yes"),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await setup.wait() == 0
        is_set_up = os.times()
        accepted = await _first_accept(command, environment, client)
        ended = os.times()
    return {
        "setup_s": round(is_set_up.elapsed - began.elapsed, 2),
        "until_accept_s": round(ended.elapsed - began.elapsed, 2),
        "processor_s": round(
            ended.children_user + ended.children_system
            - began.children_user - began.children_system, 2
        ),
        "speaker": accepted["speaker"],
        "load": os.getloadavg()[0],
    }  # fmt: skip


async def _first_accept(
    command: list[str], environment: Mapping[str, str], client: aiomqtt.Client
) -> dict[str, Any]:
    daemon = await asyncio.create_subprocess_exec(
        *(*command, "run", "--source", f"file:{TAKES[3]}"),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(ACCEPT_WITHIN_S):
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                decision: dict[str, Any] = json.loads(message.payload)
                if decision["outcome"] == "accepted":
                    return decision
    finally:
        with suppress(ProcessLookupError):
            daemon.terminate()
        await daemon.wait()
    raise AssertionError("nobody was accepted")


def main() -> None:
    """Measures and prints."""
    command = (
        [str(Path(sys.argv[1]) / "voiceguard")]
        if len(sys.argv) > 1
        else [sys.executable, "-m", "voiceguard"]
    )
    with tempfile.TemporaryDirectory(prefix="voiceguard-") as folder:
        began_s = time.monotonic()
        print(json.dumps(asyncio.run(measure(command, Path(folder)))))
        print(f"in all {time.monotonic() - began_s:.1f} s, broker included", file=sys.stderr)


if __name__ == "__main__":
    main()
