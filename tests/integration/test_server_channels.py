"""One channel of what a sound server records, through a real PulseAudio: never a mixture."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.integration.pulse import PulseServer

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 16_000
LISTEN = """
import asyncio, json, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from voiceguard.audio.config import AudioConfig
from voiceguard.audio.microphone import Microphone
from voiceguard.clock import SystemClock
from voiceguard.speech.mixing import to_mono
from voiceguard.types import AudioChunk

async def main():
    channel, num_channels = int(sys.argv[1]), int(sys.argv[2])
    config = AudioConfig(channel=channel, num_channels=num_channels)
    with ThreadPoolExecutor(3) as executor:
        source = Microphone("m", "pulse", config, executor, clock=SystemClock())
        parts, shape = [], 0
        async for event in source.events():
            if isinstance(event, AudioChunk):
                shape = event.samples.shape[1]
                parts.append(to_mono(event.samples, channel))
                if sum(map(len, parts)) > 16_000:
                    await source.close()
    heard = np.concatenate(parts)[4_000:16_000]
    power = np.abs(np.fft.rfft(heard)) / 6_000
    print(json.dumps([shape, [round(float(power[n * 300 * 12 // 16]), 2) for n in range(1, 5)]]))

asyncio.run(main())
"""


@pytest.mark.parametrize("num_channels", [2, 4])
def test_a_channel_of_a_sound_servers_source_is_that_channel(
    num_channels: int, tmp_path: Path
) -> None:
    """Each channel has a tone of its own, and that alone is heard in it."""
    time_s = np.arange(20 * RATE_HZ) / RATE_HZ
    tones = [0.2 * np.sin(2 * np.pi * 300 * n * time_s) for n in range(1, num_channels + 1)]
    raw = tmp_path / "a.raw"
    raw.write_bytes((np.stack(tones, axis=1) * 32_767).astype("<i2").tobytes())
    with PulseServer(channels=num_channels) as server, server.playing_raw(raw, num_channels):
        for channel, asked in ((0, 0), (1, 0), (num_channels - 1, num_channels)):
            finished = subprocess.run(
                [sys.executable, "-c", LISTEN, str(channel), str(asked)],
                env=server.env,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert finished.returncode == 0, finished.stderr
            opened, powers = json.loads(finished.stdout.splitlines()[-1])
            assert opened == num_channels
            expected = [0.2 if n == channel else 0.0 for n in range(4)]
            assert powers == pytest.approx(expected, abs=0.02)


def test_channels_that_cancel_each_other_are_noticed_through_a_sound_server(
    tmp_path: Path,
) -> None:
    """The server's own mix would be silence for no reason that anybody could see."""
    time_s = np.arange(20 * RATE_HZ) / RATE_HZ
    left = 0.2 * np.sin(2 * np.pi * 300 * time_s)
    raw = tmp_path / "a.raw"
    raw.write_bytes((np.stack([left, -left], axis=1) * 32_767).astype("<i2").tobytes())
    listen = LISTEN.replace("int(sys.argv[1])", '"downmix"').replace(
        "to_mono(event.samples, channel)", "mixer.push(event.samples)"
    )
    listen = listen.replace("import to_mono", "import MonoMixer\nmixer = MonoMixer('downmix', 'm')")
    with PulseServer(channels=2) as server, server.playing_raw(raw, 2):
        finished = subprocess.run(
            [sys.executable, "-c", listen, "-", "0"],
            env=server.env, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout.splitlines()[-1])[0] == 2
    assert "channels_cancel" in finished.stdout + finished.stderr


def test_a_channel_that_the_source_does_not_have_is_named() -> None:
    with PulseServer(channels=2) as server:
        finished = subprocess.run(
            [sys.executable, "-c", LISTEN, "2", "0"],
            env=server.env, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert "channel 2 was asked for" in finished.stderr
    assert "vgmic.monitor" in finished.stderr


STATES = """
import asyncio, sys, time
import structlog
from concurrent.futures import ThreadPoolExecutor
from voiceguard.audio.config import AudioConfig
from voiceguard.audio.microphone import Microphone
from voiceguard.clock import SystemClock
from voiceguard.types import SourceStatus

async def main():
    with ThreadPoolExecutor(3) as executor:
        config = AudioConfig(mute_after_s=2)
        source = Microphone("m", "pulse", config, executor, clock=SystemClock())
        asyncio.get_running_loop().call_later(60, sys.exit)
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        async for event in source.events():
            if isinstance(event, SourceStatus):
                print(time.monotonic(), event.state, event.detail, flush=True)

asyncio.run(main())
"""


def test_zeros_are_quiet_until_the_server_says_that_they_are_mute() -> None:
    """A gated microphone delivers them all night; a muted one is told within seconds."""
    with PulseServer() as server:
        command = [sys.executable, "-c", STATES]
        with subprocess.Popen(command, env=server.env, stdout=subprocess.PIPE, text=True) as heard:
            assert heard.stdout is not None
            try:
                assert "listening" in heard.stdout.readline()
                time.sleep(6.0)  # zeros, three times as long as mean a mute where nobody can say
                muted_at_s = time.monotonic()
                server.mute(muted=True)
                at_s, state, *detail = heard.stdout.readline().split()
                assert state == "muted"
                assert "sound server says" in " ".join(detail)
                assert muted_at_s < float(at_s) < muted_at_s + 10.0
                server.mute(muted=False)
                assert heard.stdout.readline().split()[1] == "listening"
            finally:
                heard.kill()
