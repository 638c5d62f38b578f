"""What goes out over MQTT: whole documents, as a consumer gets them."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from tests.integration.mosquitto import Consumer, consumer, mosquitto
from tests.pinned import inside
from tests.pinned.product import (
    MODEL,
    check,
    copy_of_state,
    environment,
    masked,
    nameless,
    said,
    voiceguard,
)
from tests.pinned.sounds import RATE_HZ, SPEAKERS, pcm, utterance

if TYPE_CHECKING:
    from pathlib import Path

MASKS = dict.fromkeys(
    (
        *(
            "instance",
            "host",
            "decision_id",
            "started_at",
            "ended_at",
            "delivered_at",
            "decided_at",
            "expires_at",
        ),
        *("last_accepted_at", "sw", "samples_captured", "samples_delivered", "samples_buffered"),
        *("windows_embedded", "windows_superseded", "decisions_delivered"),
    ),
    "(any)",
)
SETTINGS = {
    "VOICEGUARD_MQTT__NODE_ID": "den",
    "VOICEGUARD_POLICY__P_FA": "0.05",
    "VOICEGUARD_SERVICE__VOICEPRINT_POLL_S": "0.2",
}
STATUS, AVAILABILITY, DECISION, SPEAKER = (
    f"voiceguard/den/{name}" for name in ("status", "availability", "decision", "speaker")
)
MAYBE = {"voiceguard/den/provisional"}
"""On a slow machine there is nothing provisional."""
BEN = "occupancy_ben"
DISCOVERY = "homeassistant/device/voiceguard_den/config"


def test_a_decision_of_every_kind() -> None:
    """Every outcome and reason of schema 1, byte for byte."""
    lines = [inside.decision_line(*each) for each in enumerated(inside.all_kinds())]
    check("decisions.txt", "\n".join(lines) + "\n")


def enumerated(kinds: list[Any]) -> list[tuple[int, Any, Any]]:
    return [(number, outcome, reason) for number, (outcome, reason) in enumerate(kinds)]


async def test_every_topic_of_a_day(tmp_path: Path) -> None:
    """A daemon on a real broker: listening, an accept, a speaker removed, the end."""
    state = copy_of_state(tmp_path)
    for name in ("eve", "cleo"):  # dora stays, refused
        assert voiceguard("voiceprints", "remove", name, "--yes", state=state).returncode == 0
    async with mosquitto(tmp_path / "broker") as broker, consumer(broker.port) as listener:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voiceguard", "run", "--source", "kitchen=stdin"),
            *("--model", str(MODEL), "--broker", f"mqtt://127.0.0.1:{broker.port}"),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(state, **SETTINGS),
        )
        assert process.stdin is not None
        await listener.until(lambda: last(listener, STATUS).get("state") == "listening", 30.0)
        await listener.until(lambda: listener.last(AVAILABILITY) == "online")
        found: dict[str, Any] = {
            "status": last(listener, STATUS),
            "two speakers": last(listener, DISCOVERY),
        }
        process.stdin.write(pcm(utterance(SPEAKERS["ada"], 5, 4.0)) + bytes(3 * RATE_HZ))
        await process.stdin.drain()
        await listener.until(lambda: bool(listener.payloads(DECISION)))
        decided = last(listener, DECISION)["decision_id"]  # a provisional accept came before it
        await listener.until(lambda: last(listener, SPEAKER).get("decision_id") == decided)
        found |= {"decision": last(listener, DECISION), "speaker": last(listener, SPEAKER)}
        found["occupancy"] = listener.last("voiceguard/den/occupancy/ada")
        removed = await asyncio.to_thread(
            lambda: voiceguard("voiceprints", "remove", "ben", "--yes", state=state)
        )
        assert removed.returncode == 0, removed.stderr
        await listener.until(lambda: last(listener, STATUS).get("speakers") == ["ada"])
        await listener.until(lambda: BEN not in last(listener, DISCOVERY)["cmps"])
        found["one speaker"] = last(listener, DISCOVERY)
        found["removal of a speaker"] = last(listener, DISCOVERY, before=1)["cmps"][BEN]
        process.stdin.close()
        await process.wait()
        await listener.until(lambda: listener.last(AVAILABILITY) == "offline")
        found["last status"] = last(listener, STATUS)
        found["topics"] = sorted({str(message.topic) for message in listener.messages} - MAYBE)
    remembered = await asyncio.to_thread(lambda: said("history", "--last", "99", state=state))
    assert found["decision"]["decision_id"] in {row["decision_id"] for row in remembered}
    check("mqtt.json", masked(nameless(found), MASKS))


def last(listener: Consumer, topic: str, *, before: int = 0) -> dict[str, Any]:
    """The newest payload of a topic, or one before it; empty where there is none yet."""
    payload: dict[str, Any] = json.loads(["{}", *listener.payloads(topic)][-1 - before])
    return payload
