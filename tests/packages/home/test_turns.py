"""Turns with the assistant in a home that has everything: core, broker, speech-to-text, proxy.

A real ``wyoming`` client plays the core's speech-to-text side, and speaks as a satellite does: in
real time. The speech-to-text takes its time, as real ones do.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tests.integration.mosquitto import consumer, mosquitto
from tests.packages.home.asking import home_assistant, running_core
from tests.packages.home.household import (
    DECISION,
    DEN,
    EVENT,
    HEARD,
    LAST,
    PRESENT,
    ROBIN,
    ROOM,
    STATUS,
    STRANGER,
    enroll,
    environment,
    forgotten,
    listening,
    recording,
)
from tests.services import free_port
from tests.wyoming.peers import WORDS, SpeechToText, serving, speak

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.mosquitto import Mosquitto
    from tests.packages.home.asking import HomeAssistant
    from tests.wyoming.peers import Heard

THINKS_S = 2.0
"""As a speech-to-text on a small machine does; the cores here have other work as well."""
TELEVISION = "home/tv/state"
KITCHEN_STATUS = f"sensor.{DEN}_kitchen_status"


async def test_who_speaks_is_in_the_core_before_the_words_are(tmp_path: Path) -> None:
    """A gated kitchen: its person, a stranger, the television, restarts of everything, the end."""
    home_assistant()
    folder, port = tmp_path / "ha", free_port()
    async with (
        mosquitto(tmp_path / "broker") as broker,
        serving(SpeechToText(streams=True, thinks_s=THINKS_S)) as upstream,
    ):
        env = environment(tmp_path, broker) | kitchen(port, upstream)
        await enroll(env)
        async with listening(tmp_path, env, source=None) as daemon:
            async with running_core(folder, broker.port) as core:
                await core.until(lambda states: states.get(STATUS) == "listening", 60.0)
                await core.until(lambda states: states.get(KITCHEN_STATUS) == "listening")
                await is_all_ears(core, port)
                await its_person_speaks(core, port)
                await a_stranger_speaks(core, port)
                await the_television_plays(core, port, broker)
                await core.stop()
            assert (await turn(port, ROBIN)).transcript["text"] == WORDS, "a core that restarts"
            async with running_core(folder, broker.port) as core:
                await core.until(lambda states: states.get(STATUS) == "listening", 30.0)
                await core.until(lambda states: states.get(ROOM) == "kitchen")
                await is_all_ears(core, port)
                await its_person_speaks(core, port)
                await the_broker_restarts(core, port, broker)
                await daemon.stop()
                await forgotten(core, broker, env, room="kitchen")
                assert core.complaints == []


def kitchen(port: int, upstream: SpeechToText) -> dict[str, str]:
    """Settings of a daemon that hears nothing but a proxy."""
    room = {"name": "kitchen", "listen": f"tcp://127.0.0.1:{port}", "upstream": upstream.uri}
    wyoming = {"announce": False, "proxy": [{**room, "policy": "gate"}]}
    return {
        "VOICEGUARD_AUDIO": json.dumps({"sources": []}),
        "VOICEGUARD_WYOMING": json.dumps(wyoming),
        "VOICEGUARD_TELEVISION": json.dumps({"topics": [f"kitchen={TELEVISION}"], "after_s": 0}),
    }


async def turn(port: int, name: str) -> Heard:
    """One turn, in real time."""
    return await speak(port, recording(name), pace=1.0)


async def is_all_ears(core: HomeAssistant, port: int) -> None:
    """Until it has subscribed to what it was told of, some seconds after, it misses events."""
    for _ in range(10):
        await turn(port, ROBIN)
        core.states = await core.ask("states")
        if core.states[EVENT]["state"] not in {"unknown", "unavailable"}:
            return
    raise AssertionError(core.states[EVENT], core.complaints)


async def its_person_speaks(core: HomeAssistant, port: int) -> None:
    """Occupancy, event and last speaker, of this turn, are there when the transcript comes."""
    began_s = time.time()
    heard = await turn(port, ROBIN)
    came_s = time.time()
    states = await core.ask("states")
    assert heard.transcript["text"] == WORDS
    assert (states[PRESENT]["state"], states[LAST]["state"]) == ("on", "Zoë Robin")
    assert (states[EVENT]["attributes"]["event_type"], states[ROOM]["state"]) == (
        "accepted",
        "kitchen",
    )
    assert states[EVENT]["attributes"]["turn_id"]
    at_s = {name: states[name]["at_s"] for name in (PRESENT, EVENT, LAST, HEARD)}
    assert max(at_s.values()) < came_s, (at_s, came_s)
    assert began_s < at_s[EVENT], "the event of an earlier turn"


async def a_stranger_speaks(core: HomeAssistant, port: int) -> None:
    heard = await turn(port, STRANGER)
    came_s = time.time()
    states = await core.ask("states")
    assert heard.transcript["text"] == ""
    assert "transcript-chunk" not in heard.types
    assert (states[PRESENT]["state"], states[LAST]["state"]) == ("off", "Unknown speaker")
    assert states[LAST]["at_s"] < came_s
    assert states[DECISION]["attributes"]["event_type"] == "unknown"


async def the_television_plays(core: HomeAssistant, port: int, broker: Mosquitto) -> None:
    """The bar is raised while it does, and no longer; the event says so."""
    for state, raised_by, p_fa in (("playing", "television", 0.001), ("idle", None, 0.01)):
        async with consumer(broker.port) as player:
            await player.client.publish(TELEVISION, state, qos=1)
        await turn(port, ROBIN)  # whose transcript waits for the decision
        told = (await core.ask("states"))[DECISION]["attributes"]
        assert (told["raised_by"], told["p_fa"]) == (raised_by, p_fa)


async def the_broker_restarts(core: HomeAssistant, port: int, broker: Mosquitto) -> None:
    """Without it the gate is shut, since nobody could tell the core; with it all is as before."""
    await broker.stop()
    await core.until(lambda states: states[STATUS] == "unavailable")
    assert (await turn(port, ROBIN)).transcript["text"] == ""
    await broker.start()
    await core.until(lambda states: states[STATUS] == "listening", 30.0)
    await its_person_speaks(core, port)
