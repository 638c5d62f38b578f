"""A lock, whole: microphone, daemon, a real broker, and ``voiceguard unlock`` as the consumer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command import voiceguard
from tests.integration.daemon import running_daemon
from tests.integration.mosquitto import Mosquitto, consumer, mosquitto
from tests.integration.pulse import PulseServer
from tests.integration.test_whole_daemon import enroll, spoken, state_of
from tests.recordings import SPOKEN, STRANGERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

ACTION = "front-door"
SETTINGS = f"""
[unlock.actions.{ACTION}]
speakers = ["anna"]
p_fa = 0.01
level = "voice"
i_accept_the_risk = true

[people.rules.door]
who = ["anna"]
actions = ["{ACTION}"]

[people.rules.later]
who = ["anna"]
hours = "HOURS"
"""


def in_some_hours() -> str:
    """Hours that do not hold now, nor in a minute."""
    hour = datetime.now().astimezone().hour
    return f"{(hour + 6) % 24:02}:00-{(hour + 7) % 24:02}:00"


@pytest.fixture
def pulse() -> Iterator[PulseServer]:
    with PulseServer() as server:
        yield server


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with mosquitto(tmp_path / "broker") as running:
        yield running


class Asking:
    """``voiceguard unlock request`` under way."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._num_seen = 0
        self.said = b""

    async def until_said(self, words: str) -> None:
        """Waits for words that were not waited for before."""
        assert self._process.stderr is not None
        async with asyncio.timeout(20):
            while words.encode() not in self.said[self._num_seen :]:
                line = await self._process.stderr.readline()
                assert line, self.said
                self.said += line
        self._num_seen = self.said.index(words.encode(), self._num_seen) + len(words)

    async def answer(self) -> tuple[int, dict[str, Any]]:
        out, rest = await self._process.communicate()
        self.said += rest
        assert self._process.returncode is not None
        return self._process.returncode, json.loads(out)


async def ask(broker: Mosquitto, state: Path, action: str = ACTION) -> Asking:
    return Asking(
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voiceguard", "unlock", "request", "--action", action),
            *("--json", "--node", "test", "--broker", f"mqtt://127.0.0.1:{broker.port}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "VOICEGUARD_STATE_DIR": str(state)},
        )
    )


async def test_a_lock_opens_for_its_speaker_and_for_nobody_else(
    tmp_path: Path, pulse: PulseServer, broker: Mosquitto
) -> None:
    """A stranger fails, anna opens; nothing is retained, and a request in vain is told.

    By the door's own rule: as decisions are published she is not accepted at this hour.
    """
    state = tmp_path / "state"
    enroll(tmp_path)
    assert voiceguard("unlock", "keys", state=state).returncode == 0
    (tmp_path / "voiceguard.toml").write_text(SETTINGS.replace("HOURS", in_some_hours()))
    arguments = (
        *("--config", str(tmp_path / "voiceguard.toml")),
        *("--source", "device:pulse", "--broker", f"mqtt://127.0.0.1:{broker.port}"),
    )
    anna = spoken(tmp_path / "anna.wav", SPOKEN[0])
    stranger = spoken(tmp_path / "stranger.wav", STRANGERS[0])
    async with running_daemon(tmp_path, *arguments, environment=pulse.env) as daemon:
        async with consumer(broker.port) as listener:
            await listener.until(lambda: state_of(listener).get("state") == "listening")

            asking = await ask(broker, state)
            await asking.until_said("Speak now")
            await asyncio.to_thread(pulse.play, stranger)
            code, answer = await asking.answer()
            assert (code, answer["opens"], answer["notice"]["state"]) == (3, False, "failed")

            asking = await ask(broker, state)
            await asking.until_said("Speak now")
            await asyncio.to_thread(pulse.play, anna)
            code, answer = await asking.answer()
            assert (code, answer["opens"]) == (0, True), daemon.log
            assert answer["envelope"]["speaker"] == "anna"
            assert "unlocked_by_voice_alone" in daemon.log

            await asyncio.to_thread(pulse.play, anna)  # heard, and no request is open
            topic = f"voiceguard/test/unlock/envelope/{ACTION}"
            decisions = "voiceguard/test/decision"
            await listener.until(lambda: len(listener.payloads(decisions)) == 3)
            heard = json.loads(listener.payloads(decisions)[-1])
            assert (heard["outcome"], heard["reason"]) == ("rejected", "not_allowed")
            assert (heard["speaker"], heard["rule"]) == (None, "later")
            seen = [message for message in listener.messages if str(message.topic) == topic]
            assert len(seen) == 1
            assert not seen[0].retain
            assert 1 <= vars(seen[0].properties)["MessageExpiryInterval"] <= 5

        async with consumer(broker.port, "voiceguard/test/unlock/#") as late:
            await asyncio.sleep(0.3)
            assert not late.messages
    shown = voiceguard("audit", "show", "--json", state=state).stdout
    events = [json.loads(line)["event"] for line in shown.splitlines()]
    assert events == ["envelope", "attempt_failed", "policy_changed", "key_made"]
    assert voiceguard("audit", "verify", state=state).returncode == 0
