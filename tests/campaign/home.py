"""MQTT: mutated commands, births, discovery and lock requests: what anybody may write to us."""

from __future__ import annotations

import asyncio
import json
import random
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from structlog.testing import capture_logs

from tests.campaign.protocol import ViolationError
from tests.fakes import FakeClock
from voiceguard.errors import EnvelopeError
from voiceguard.mqtt.backlog import Backlog
from voiceguard.mqtt.config import MqttConfig
from voiceguard.mqtt.home.discovery import MAX_FOREIGN_SPEAKERS, device_config
from voiceguard.mqtt.home.household import Household
from voiceguard.mqtt.listening import Listener
from voiceguard.unlock.requests import read_request, request_payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from tests.campaign.protocol import Campaign, Figure
    from voiceguard.mqtt.topics import Command

CONFIG = MqttConfig(node_id="den")
PEOPLE = {"alice": "Alice"}
ROUND = 1000
MOST_HELD = 4 * MAX_FOREIGN_SPEAKERS + 64
"""Retained topics that strangers can make us remember."""


class _Home:
    """A daemon's side of one connection, and what it was made to do."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.backlog = Backlog(CONFIG, self.clock)
        self.backlog.set_speakers(list(PEOPLE.items()))
        self.backlog.states.set_available(is_available=True, reason="")
        self.backlog.set_status({"state": "listening"})
        self.commands: list[Command] = []
        self.num_requests = 0
        self.listener = Listener(
            CONFIG,
            self.backlog,
            on_command=self.commands.append,
            on_p_fa=lambda _rate: None,  # refused unless it is one of the configured
            on_request=self._request,
            subscribe_later=lambda _topic: None,
            leave=lambda _topic: None,
        )

    def _request(self, action: str, payload: bytes) -> None:
        """As a desk reads it."""
        del action
        try:
            read_request(payload)
        except EnvelopeError:
            return
        self.num_requests += 1

    def pass_time(self) -> int:
        """A second, in which what is due is sent; how many topics are held."""
        self.clock.now_s += 1
        self.listener.look(self.backlog.now_s())
        while (due := self.backlog.states.retained.next()) is not None:
            self.backlog.states.retained.sent(*due)
        return len(self.backlog.states.retained)


def mutated(dice: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds, or a part of it, with up to three bytes put in, changed or taken away."""
    changed = bytearray(dice.choice(seeds))
    if len(changed) > 400 and dice.random() < 0.3:
        start = dice.randrange(len(changed) - 300)
        changed = changed[start : start + dice.randrange(300)]
    for _ in range(dice.randrange(4)):
        place = dice.randrange(len(changed) + 1)
        kind = dice.randrange(3)
        if kind == 0:
            changed[place:place] = bytes([dice.randrange(256)]) * dice.choice([1, 1, 50])
        elif kind == 1 and place < len(changed):
            changed[place] = dice.randrange(256)
        else:
            del changed[place : place + 1]
    return bytes(changed)


async def _fuzz(seconds: float, dice: random.Random) -> dict[str, Figure]:
    names = CONFIG.topics
    household = Household(speakers=PEOPLE)
    seeds = [
        *(b"online", b"arm", b"disarm", b"reload", b"restart", b"p_fa 0.001", b"", b"{}", b"ON"),
        json.dumps(device_config(names, household, occupancy_hold_s=30)).encode(),
        b'{"mqtt":{"instance":"x","host":"y"}}',
        request_payload("ab" * 32),
    ]
    topics = [
        *(names.command, names.birth, names.discovery, names.status, names.unlock_request("door")),
        *(names.occupancy("mallory"), names.heard("x"), names.stream("attic")),
        *(f"{names.base}/stream/a/b", "x"),
    ]
    home, counts = _Home(), dict.fromkeys(topics, 0)

    async def messages() -> AsyncIterator[Any]:
        for _ in range(ROUND):
            topic, is_retained = dice.choice(topics), dice.random() < 0.5
            counts[topic] += 1
            yield SimpleNamespace(topic=topic, payload=mutated(dice, seeds), retain=is_retained)

    end_s, refused = time.monotonic() + seconds, 0
    while time.monotonic() < end_s:
        with capture_logs() as logged:
            await home.listener.hear(messages())  # what it raises would end the connection
        refused += sum(each["event"] == "message_refused" for each in logged)
        if (held := home.pass_time()) > MOST_HELD:
            raise ViolationError(f"after {counts}: {held} retained topics are held")
    return {
        "num_messages": sum(counts.values()),
        "num_commands": counts[names.command],
        "num_births": counts[names.birth],
        "num_discovery": counts[names.discovery],
        "num_lock_requests": counts[names.unlock_request("door")],
        "num_refused": refused,
        "num_commands_obeyed": len(home.commands),
        "num_crashes": 0,
    }


def fuzz(seconds: float, seed: int) -> Mapping[str, Figure]:
    """As a campaign."""
    return asyncio.run(_fuzz(seconds, random.Random(seed)))


CAMPAIGNS: Final[Mapping[str, Campaign]] = {"mqtt: mutated commands, births, discovery": fuzz}
