"""Ten minutes of a real microphone: are samples lost, does memory grow, what does it cost?

Run by hand: ``python -m tests.benchmarks.soak --minutes 10``. A private PulseAudio plays speech and
pauses into its null sink; the daemon records the monitor through PortAudio and publishes to a
private mosquitto. Prints the figures that docs/what-was-measured.md quotes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import wave
from pathlib import Path

import numpy as np

from tests.integration.daemon import running_daemon
from tests.integration.mosquitto import consumer, mosquitto
from tests.integration.pulse import PulseServer
from voiceguard.audio.files import load_audio
from voiceguard.demo.scene import load_scene

PHASE_S = 60.0


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds so far, and resident megabytes now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return cpu_s, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def write_speech(path: Path) -> None:
    """A minute of the demo's enrollment sentences, one after the other."""
    takes = np.concatenate([load_audio(take) for take in load_scene().takes])
    samples = np.resize(takes, round(PHASE_S * 16_000))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


async def soak(minutes: int) -> None:
    """Alternates a minute of speech and a minute of silence; prints a line for each."""
    with tempfile.TemporaryDirectory() as directory, PulseServer() as pulse:
        folder = Path(directory)
        write_speech(folder / "speech.wav")
        async with (
            mosquitto(folder / "broker") as broker,
            running_daemon(
                folder,
                *("--source", "device:pulse", "--broker", f"mqtt://127.0.0.1:{broker.port}"),
                environment={**pulse.env, "VOICEGUARD_SERVICE__STATUS_INTERVAL_S": "5"},
            ) as daemon,
            consumer(broker.port, "voiceguard/test/#") as listener,
        ):
            for minute in range(minutes):
                is_speech = minute % 2 == 0
                cpu_s, _ = usage(daemon.process.pid)
                if is_speech:
                    await asyncio.to_thread(pulse.play, folder / "speech.wav")
                else:
                    await asyncio.sleep(PHASE_S)
                cpu_after_s, memory_mb = usage(daemon.process.pid)
                status = json.loads(listener.last("voiceguard/test/status") or "{}")
                stream = status["streams"]["pulse"]
                print(
                    f"minute {minute + 1}: {'speech' if is_speech else 'silence'}, "
                    f"{100 * (cpu_after_s - cpu_s) / PHASE_S:.2f} % of one core, "
                    f"{memory_mb:.0f} MB, {stream['samples_captured']} samples captured, "
                    f"{stream['samples_lost']} lost, "
                    f"{len(listener.payloads('voiceguard/test/decision'))} decisions",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    asyncio.run(soak(parser.parse_args().minutes))
