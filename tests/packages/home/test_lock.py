"""Locks in a home: ``unlock listen`` runs a program, and digits must be said by the right voice.

The daemon as it is started, mosquitto, PulseAudio's null sink for a microphone, and pocketsphinx
behind a Wyoming server for the digits.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command import voiceguard
from tests.integration.daemon import running_daemon
from tests.integration.mosquitto import consumer, mosquitto, until
from tests.integration.pulse import PulseServer
from tests.integration.test_unlock import Asking, ask
from tests.integration.test_whole_daemon import enroll, spoken, state_of
from tests.recordings import SPOKEN, STRANGERS
from tests.unlock.sphinx import sphinx_server
from tests.unlock.test_challenge import spoken as digits_spoken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.integration.mosquitto import Mosquitto

DOOR, SAFE, BUTTON = "front-door", "safe", "home/button"
SETTINGS = """
[unlock]
speech_to_text = "{speech_to_text}"
[unlock.actions.front-door]
speakers = ["anna"]
p_fa = 0.01
level = "voice"
i_accept_the_risk = true
[unlock.actions.safe]
speakers = ["anna"]
p_fa = 0.01
level = "challenge"
"""
PROGRAM = """#!/bin/sh
echo "$VOICEGUARD_UNLOCK_ACTION $VOICEGUARD_UNLOCK_SPEAKER $VOICEGUARD_UNLOCK_POLICY" >> {opened}
"""
MOST_TRIES = 2
"""A speech-to-text that reads nine of ten; a third failure would lock the action."""


@pytest.fixture
def pulse() -> Iterator[PulseServer]:
    with PulseServer() as server:
        yield server


async def test_doors_open_for_their_people_and_for_no_recording_of_digits(
    tmp_path: Path, pulse: PulseServer
) -> None:
    enroll(tmp_path)
    state = tmp_path / "state"
    assert voiceguard("unlock", "keys", state=state).returncode == 0
    async with mosquitto(tmp_path / "broker") as broker, sphinx_server(tmp_path) as address:
        config = tmp_path / "voiceguard.toml"
        config.write_text(SETTINGS.format(speech_to_text=address))
        arguments = (
            *("--config", str(config), "--source", "device:pulse"),
            *("--broker", f"mqtt://127.0.0.1:{broker.port}"),
        )
        async with running_daemon(tmp_path, *arguments, environment=pulse.env):
            await listening(broker)
            await a_button_and_a_voice_open_the_door(tmp_path, pulse, broker)
            await the_safe_wants_digits(tmp_path, pulse, broker)
    shown = voiceguard("audit", "show", "--json", state=state).stdout
    noted = [json.loads(line) for line in shown.splitlines()][::-1]
    attempts = [each for each in noted if each["event"] in {"envelope", "attempt_failed"}]
    assert [each["event"] for each in attempts[:3]] == ["attempt_failed", "envelope", "envelope"]
    assert attempts[-1]["event"] == "attempt_failed"
    assert voiceguard("audit", "verify", state=state).returncode == 0


async def listening(broker: Mosquitto) -> None:
    async with consumer(broker.port) as listener:
        await listener.until(lambda: state_of(listener).get("state") == "listening", 30.0)


# --- unlock listen ----------------------------------------------------------------------------


async def a_button_and_a_voice_open_the_door(
    folder: Path, pulse: PulseServer, broker: Mosquitto
) -> None:
    """A stranger's does not, nor the message that opened it once more; then the broker restarts."""
    anna = spoken(folder / "anna.wav", SPOKEN[0])
    stranger = spoken(folder / "stranger.wav", STRANGERS[0])
    opened = folder / "opened"
    opened.touch()
    async with lock(folder, broker, opened) as door, consumer(broker.port) as heard:
        await door.until_said("lock_connected")
        await heard.client.publish(BUTTON, "double", qos=1)  # not its trigger
        await press(heard.client.publish)
        await door.until_said("Speak now")
        await asyncio.to_thread(pulse.play, stranger)
        await door.until_said("Not opened")
        assert opened.read_text() == ""

        await press(heard.client.publish)
        await door.until_said("Speak now")
        await asyncio.to_thread(pulse.play, anna)
        await until_opened(opened, ["front-door anna voice"])

        topic = f"voiceguard/test/unlock/envelope/{DOOR}"
        (envelope,) = [each for each in heard.messages if str(each.topic) == topic]
        assert isinstance(envelope.payload, bytes)
        await heard.client.publish(topic, envelope.payload, qos=1)
        await press(heard.client.publish)
        await door.until_said("Speak now")
        await heard.client.publish(topic, envelope.payload, qos=1)
        await asyncio.sleep(0.5)
        assert opened.read_text().splitlines() == ["front-door anna voice"]
        asked = [each for each in heard.messages if "/unlock/request/" in str(each.topic)]
        assert len(asked) == 3

        await broker.stop()
        await door.until_said("lock_disconnected")
        await broker.start()
        await door.until_said("lock_connected")
    await listening(broker)
    await asyncio.sleep(20.0)  # the request of before is over: it stays open for 20 s
    async with lock(folder, broker, opened) as door, consumer(broker.port) as heard:
        await door.until_said("lock_connected")
        await press(heard.client.publish)
        await door.until_said("Speak now")
        await asyncio.to_thread(pulse.play, anna)
        await until_opened(opened, ["front-door anna voice"] * 2)


async def press(publish: Any) -> None:  # noqa: ANN401 - of a client
    """The button at the door."""
    await publish(BUTTON, "single", qos=1)


async def until_opened(opened: Path, lines: list[str]) -> None:
    await until(lambda: opened.read_text().splitlines() == lines, 20.0, opened.read_text)


@asynccontextmanager
async def lock(folder: Path, broker: Mosquitto, opened: Path) -> AsyncIterator[Asking]:
    """``voiceguard unlock listen``, and a program that notes what it is told."""
    program = folder / "open door"
    program.write_text(PROGRAM.format(opened=opened))
    program.chmod(0o700)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voiceguard", "unlock", "listen", "--action", DOOR),
        *("--exec", f'"{program}"', "--trigger", f"{BUTTON}=single", "--node", "test"),
        *("--broker", f"mqtt://127.0.0.1:{broker.port}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "VOICEGUARD_STATE_DIR": str(folder / "state")},
    )
    try:
        yield Asking(process)
    finally:
        process.terminate()
        await process.communicate()


# --- challenge --------------------------------------------------------------------------------


async def the_safe_wants_digits(folder: Path, pulse: PulseServer, broker: Mosquitto) -> None:
    """The right voice with the digits of this request; the same recording again is in vain."""
    answer = folder / "answer.wav"
    for _ in range(MOST_TRIES):
        asking = await ask(broker, folder / "state", SAFE)
        digits = await digits_of(asking)
        digits_spoken(folder / "said.wav", "flite", digits)
        await asyncio.to_thread(pulse.play, spoken(answer, folder / "said.wav"))
        code, told = await asking.answer()
        if code == 0:
            break
    assert (code, told["opens"]) == (0, True), told
    assert (told["envelope"]["policy"], told["envelope"]["speaker"]) == ("challenge", "anna")

    asking = await ask(broker, folder / "state", SAFE)
    assert await digits_of(asking) != digits
    await asyncio.to_thread(pulse.play, answer)
    code, told = await asking.answer()
    assert (code, told["opens"], told["notice"]["state"]) == (3, False, "failed")


async def digits_of(asking: Asking) -> str:
    await asking.until_said("Say: ")
    said = asking.said.decode()
    return said.partition("Say: ")[2].splitlines()[0].replace(" ", "")
