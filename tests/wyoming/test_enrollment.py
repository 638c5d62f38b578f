"""A person is enrolled by talking to the assistant, by a command beside the daemon."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import quiet, tone
from tests.integration.daemon import running_daemon
from tests.recordings import TAKES
from tests.services import free_port
from tests.wyoming.bench import house, until
from tests.wyoming.peers import SpeechToText, serving, speak
from voiceguard.audio.files import load_audio
from voiceguard.control.client import ControlClient
from voiceguard.control.protocol import RequestError
from voiceguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


async def test_a_recorder_gets_whole_turns_at_16_khz() -> None:
    told: list[Mapping[str, Any]] = []
    said = np.concatenate([quiet(0.2), tone(440, 1.0)])
    async with serving(SpeechToText()) as upstream, house(upstream.uri) as home:
        end = home.rooms.record("kitchen", told.append)
        await speak(home.port, said)
        await speak(home.port, np.repeat(said, 3), rate_hz=48_000)
        end()
        await speak(home.port, said)
        with pytest.raises(UsageError, match="no proxy or satellite 'hall'"):
            home.rooms.record("hall", told.append)
    assert [each["rate_hz"] for each in told] == [16_000, 16_000]
    assert len({each["turn_id"] for each in told}) == 2
    first, second = (np.frombuffer(base64.b64decode(each["audio"]), "<i2") for each in told)
    assert np.abs(first / 32768 - said).max() < 1e-3
    assert len(second) == pytest.approx(len(said), abs=2)


async def test_a_recorder_passes_over_a_turn_that_it_heard_half_of() -> None:
    told: list[Mapping[str, Any]] = []
    said = tone(440, 1.0)
    async with serving(SpeechToText()) as upstream, house(upstream.uri) as home:

        async def asked_for_in_mid_turn(num_bytes: int) -> None:
            if num_bytes > len(said) and "kitchen" not in ends:  # half of it: of 16 bits
                await until(lambda: upstream.num_bytes == num_bytes)
                ends["kitchen"] = home.rooms.record("kitchen", told.append)

        ends: dict[str, Any] = {}
        await speak(home.port, said, sent=asked_for_in_mid_turn)
        assert told == []
        await speak(home.port, said)
    assert len(told) == 1


async def test_enroll_takes_her_next_turns(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "voiceguard.toml"
    async with serving(SpeechToText()) as upstream:
        config.write_text(
            '[audio]\nsources = []\n[mqtt]\nbroker = "none"\n[wyoming]\nannounce = false\n'
            f'[[wyoming.proxy]]\nname = "kitchen"\nlisten = "tcp://127.0.0.1:{port}"\n'
            f'upstream = "{upstream.uri}"\npolicy = "gate"\n'
        )
        async with running_daemon(tmp_path, "--config", str(config)):
            with ControlClient(tmp_path / "state") as client, pytest.raises(RequestError) as error:
                await asyncio.to_thread(client.call, "turns", stream="hall")
            assert "there are: kitchen" in error.value.hint
            with ControlClient(tmp_path / "state") as client:
                for _ in range(2):  # who asks twice gets it once
                    await asyncio.to_thread(client.call, "turns", stream="kitchen")
                await speak(port, load_audio(TAKES[0]))
                told = [await asyncio.to_thread(client.next_event, wait_s) for wait_s in (30, 0.5)]
            assert [each and each["event"] for each in told] == ["turn", None]
            command = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "voiceguard", "enroll", "anna", "--yes", "--json"),
                *("--source", "proxy:kitchen", "--config", str(config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "VOICEGUARD_STATE_DIR": str(tmp_path / "state")},
            )
            assert command.stderr is not None
            shown = b""
            while b"Wake the assistant in kitchen" not in shown:
                shown += await asyncio.wait_for(command.stderr.read(1000), 60)
            enrolling = asyncio.create_task(command.communicate())
            for take in TAKES * 3:
                if command.returncode is not None:
                    break
                await speak(port, load_audio(take))
            out, rest = await asyncio.wait_for(enrolling, 60)
    assert command.returncode == 0, (shown + rest).decode()
    enrolled = json.loads(out)
    assert enrolled["speaker"] == "anna"
    assert sum(take["usable"] for take in enrolled["takes"]) >= 3
