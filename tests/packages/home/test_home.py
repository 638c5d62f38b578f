"""A household's days with a real Home Assistant, a real broker and the daemon as it is started."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

from tests.integration.mosquitto import consumer, mosquitto
from tests.packages.home.asking import home_assistant, running_core
from tests.packages.home.household import (
    ARMED,
    DECISION,
    DEN,
    EVENT,
    HEARD,
    LAST,
    PRESENT,
    PROBLEM,
    RATE,
    REPOSITORY,
    ROBIN,
    ROOM,
    STATUS,
    STRANGER,
    SURE,
    enroll,
    environment,
    forgotten,
    listening,
    ours,
    voiceguard,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.integration.mosquitto import Mosquitto
    from tests.packages.home.asking import HomeAssistant
    from tests.packages.home.household import Listening

BLUEPRINTS = REPOSITORY / "config" / "home-assistant"


async def test_from_the_first_start_to_the_last_trace(tmp_path: Path) -> None:
    """Enrol, speak, choose, disarm, restart of core and broker, a kill, remove, forget."""
    home_assistant()
    folder = tmp_path / "ha"
    async with mosquitto(tmp_path / "broker") as broker:
        env = environment(tmp_path, broker)
        async with listening(tmp_path, env) as daemon:
            async with running_core(folder, broker.port) as core:
                await nobody_is_enrolled(core)
                await enroll(env)
                await somebody_speaks(core, daemon)
                await rate_and_switch_follow(core)
                await core.stop()
            async with running_core(folder, broker.port) as core:
                await everything_is_back(core)
                await the_broker_restarts(core, broker)
                daemon.process.kill()
                await core.until(lambda states: states[PROBLEM] == "unavailable")
                async with listening(tmp_path, env, "hall=device:nothing"):
                    await a_deaf_daemon_says_why(core)
                async with listening(tmp_path, env) as daemon:  # noqa: PLW2901
                    await restart_and_removal(core, env)
                    await daemon.stop()
                await forgotten(core, broker, env, room="living-room")
                assert core.complaints == []


async def nobody_is_enrolled(core: HomeAssistant) -> None:
    states = await core.until(lambda states: states.get(STATUS) == "nobody enrolled", 60.0)
    assert states[PROBLEM] == "on"
    assert PRESENT not in states


async def somebody_speaks(core: HomeAssistant, daemon: Listening) -> None:
    states = await core.until(lambda states: states.get(PRESENT) == "off", 30.0)
    states = await core.until(lambda states: states[STATUS] == "listening")
    assert (states[EVENT], states[PROBLEM]) == ("unknown", "off")
    await triggers_note(core)
    await daemon.hear(ROBIN)
    states = await core.until(lambda states: states[EVENT] != "unknown", 30.0)
    states = await core.until(lambda states: states[ROOM] == "living-room")
    assert (states[PRESENT], states[LAST]) == ("on", "Zoë Robin")
    assert float(states[SURE]) > 90
    assert core.states[SURE]["attributes"]["p_target"] == 0.5
    assert core.states[EVENT]["attributes"]["event_type"] == "accepted"
    assert core.states[HEARD]["attributes"]["stream"] == "living-room"
    assert states[f"sensor.{DEN}_living_room_last_speaker"] == "Zoë Robin"
    heard_robin = states[HEARD]

    await daemon.hear(STRANGER)
    states = await core.until(lambda states: states[LAST] == "Unknown speaker", 30.0)
    assert (states[PRESENT], states[HEARD]) == ("off", heard_robin)
    assert [note["what"] for note in await core.ask("notes")] == ["Zoë Robin", "stranger"]


async def triggers_note(core: HomeAssistant) -> None:
    """Automations as the editor makes them of what it offers for the device."""
    devices = {each["name"]: each for each in await core.ask("devices")}
    daemon, room = devices["Voiceguard den"], devices["Voiceguard den living-room"]
    assert (room["via"], room["area"]) == (daemon["id"], "Living room")
    assert daemon["configuration_url"] == "http://den.local/voiceguard"
    offered = await core.ask("triggers", device_id=daemon["id"])
    assert {(each["type"], each["subtype"]) for each in offered} == {
        ("recognised", "Zoë Robin"),
        ("heard", "stranger"),
    }
    await core.ask(
        "automate",
        automations=[
            {
                "id": f"noted-{number}",
                "alias": each["subtype"],
                "triggers": [{"trigger": "device", **_plain(each)}],
                "actions": [{"action": "test.note", "data": {"what": each["subtype"]}}],
            }
            for number, each in enumerate(offered)
        ],
    )


def _plain(trigger: dict[str, Any]) -> dict[str, Any]:
    return {name: trigger[name] for name in ("domain", "device_id", "type", "subtype")}


async def rate_and_switch_follow(core: HomeAssistant) -> None:
    assert core.states[RATE]["attributes"]["options"] == ["0.1 %", "1 %"]
    await core.ask("call", domain="select", service="select_option", entity_id=RATE, option="0.1 %")
    await core.until(lambda states: states[RATE] == "0.1 %")
    await core.ask("call", domain="switch", service="turn_off", entity_id=ARMED)
    states = await core.until(lambda states: states[STATUS] == "disarmed")
    assert (states[PRESENT], states[PROBLEM], states[ARMED]) == ("off", "off", "off")
    await core.ask("call", domain="switch", service="turn_on", entity_id=ARMED)
    await core.until(lambda states: states[STATUS] == "listening")


async def everything_is_back(core: HomeAssistant) -> None:
    """Under the same ids, and it is still known when somebody was last heard."""
    states = await core.until(
        lambda states: states.get(HEARD, "unknown") not in {"unknown", "unavailable"}, 30.0
    )
    await core.until(lambda states: states[STATUS] == "listening")
    assert states[RATE] == "0.1 %"
    assert not [name for name in states if name.endswith("_2")]


async def the_broker_restarts(core: HomeAssistant, broker: Mosquitto) -> None:
    """It forgets everything, and is told everything."""
    await broker.stop()
    await core.until(lambda states: states[STATUS] == "unavailable")
    await broker.start()
    await core.until(lambda states: states[STATUS] == "listening", 30.0)


async def a_deaf_daemon_says_why(core: HomeAssistant) -> None:
    """What depends on the last will alone stays; what is heard is unavailable."""
    states = await core.until(
        lambda states: states[STATUS] == "no microphone" and states[PROBLEM] == "on", 60.0
    )
    assert "nothing" in core.states[PROBLEM]["attributes"]["reason"]
    states = await core.until(lambda states: states[PRESENT] == "unavailable")
    assert (states[EVENT], states[LAST], states[ARMED]) == ("unavailable", "unavailable", "on")
    states = await core.until(lambda states: states[f"sensor.{DEN}_hall_status"] == "no microphone")
    assert f"sensor.{DEN}_living_room_status" not in states, "a room that is gone"


async def restart_and_removal(core: HomeAssistant, env: Mapping[str, str]) -> None:
    await core.until(lambda states: states[STATUS] == "listening", 60.0)
    button = f"button.{DEN}_restart"
    await core.ask("call", domain="button", service="press", entity_id=button)
    await core.until(lambda states: states[STATUS] != "listening")
    states = await core.until(lambda states: states[STATUS] == "listening", 60.0)
    assert states[RATE] == "0.1 %", "what was chosen outlasts a restart"
    await voiceguard("voiceprints", "remove", "Zoë Robin", "--yes", env=env)
    states = await core.until(lambda states: states[STATUS] == "nobody enrolled")
    await core.until(lambda states: not any("zoe_robin" in name for name in ours(states)))
    entities = await core.ask("entities")
    # What was never turned on stays in its registry, turned off, as of everything that speaks MQTT.
    left = [name for name in ours(entities) if entities[name]["disabled_by"] is None]
    assert not any("zoe_robin" in name for name in left)


async def test_a_person_removed_while_nothing_runs_is_gone_from_the_broker(tmp_path: Path) -> None:
    """And the daemon's device stays in Home Assistant, with what people made of it."""
    home_assistant()
    async with mosquitto(tmp_path / "broker") as broker:
        env = environment(tmp_path, broker)
        await enroll(env)
        async with running_core(tmp_path / "ha", broker.port) as core:
            async with listening(tmp_path, env) as daemon:
                await core.until(lambda states: states.get(STATUS) == "listening", 60.0)
                await daemon.hear(ROBIN)
                await core.until(lambda states: states[ROOM] == "living-room", 30.0)
                await daemon.stop()
            await voiceguard("voiceprints", "remove", "Zoë Robin", "--yes", env=env)
            await core.until(lambda states: PRESENT not in states and LAST in states)
            async with consumer(broker.port) as left:
                await left.until(
                    lambda: bool(left.payloads("homeassistant/device/voiceguard_den/config"))
                )
                await asyncio.sleep(0.5)
                told = [str(each.topic) + str(each.payload) for each in left.messages]
            assert told
            assert not [each for each in told if "zoe" in each.lower() or "Zoë" in each]
            assert core.complaints == []


async def test_the_blueprints_do_what_they_say(tmp_path: Path) -> None:
    """Loaded by a real core, with real decisions."""
    home_assistant()
    folder = tmp_path / "ha"
    shutil.copytree(BLUEPRINTS, folder / "blueprints" / "automation" / "voiceguard")
    async with mosquitto(tmp_path / "broker") as broker:
        env = environment(tmp_path, broker)
        await enroll(env)
        async with (
            running_core(folder, broker.port) as core,
            listening(tmp_path, env) as daemon,
        ):
            await core.until(lambda states: states.get(STATUS) == "listening", 60.0)
            await core.ask("set_state", entity_id="input_boolean.guest", state="off")
            await core.ask("automate", automations=automations())
            states = await core.until(lambda states: "automation.guest_mode" in states)
            on = {name for name, state in states.items() if state == "on"}
            assert {f"automation.{name}" for name in NAMES} <= on, states
            await daemon.hear(ROBIN)
            await core.until(lambda states: states[EVENT] != "unknown", 30.0)
            said = await noted(core, {"only_if_said_by", "childrens_hours"})
            assert "unknown_voice_at_night" not in said
            assert "elsewhere" not in said
            await daemon.hear(STRANGER)
            await noted(core, {"unknown_voice_at_night"})
            assert core.complaints == []


NAMES = ("only_if_said_by", "elsewhere", "unknown_voice_at_night", "guest_mode", "childrens_hours")


async def noted(core: HomeAssistant, wanted: set[str]) -> set[str]:
    """What the automations did, until all that is wanted is there."""
    found: set[str] = set()
    async with asyncio.timeout(30.0):
        while not wanted <= found:
            found |= {note["what"] for note in await core.ask("notes")}
            await asyncio.sleep(0.1)
    return found


def automations() -> list[dict[str, Any]]:
    """One of each; their hours are the whole day."""
    note = {name: [{"action": "test.note", "data": {"what": name}}] for name in NAMES}
    day = {"after": "00:00:00", "before": "23:59:59"}
    inputs: dict[str, dict[str, Any]] = {
        "only_if_said_by": {"person": EVENT, "room": "living-room"},
        "elsewhere": {"person": EVENT, "room": "hall"},
        "unknown_voice_at_night": {"decision": DECISION, **day, "min_speech_s": 1, "pause_min": 0},
        "guest_mode": {"decision": DECISION, "people": [PRESENT], "helper": "input_boolean.guest"},
        "childrens_hours": {"child": EVENT, **day, "within": note["childrens_hours"]},
    }
    for name in ("only_if_said_by", "elsewhere", "unknown_voice_at_night"):
        inputs[name]["actions"] = note[name]
    files = {"elsewhere": "only_if_said_by"}
    return [
        {
            "id": name,
            "alias": name,
            "use_blueprint": {
                "path": f"voiceguard/{files.get(name, name)}.yaml",
                "input": inputs[name],
            },
        }
        for name in NAMES
    ]
