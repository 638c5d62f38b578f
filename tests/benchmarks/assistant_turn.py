"""What a proxy adds to a turn: from the client's last chunk to the transcript, with it and without.

::

    python -m tests.benchmarks.assistant_turn [--model NAME] [--state-dir DIR] [--turns 40]

A daemon of its own process, mosquitto, and a speech-to-text that answers at once, the worst case:
a real one is busy while the decision is made. Turns come in real time, as a satellite sends them,
alternately through the proxy (policy ``tag``, so that the transcript waits for the decision and the
broker) and straight. Needs mosquitto; loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from pathlib import Path

from tests.campaign.broker import percentile
from tests.cli.command import voiceguard
from tests.integration.daemon import running_daemon
from tests.integration.mosquitto import mosquitto
from tests.recordings import SPOKEN, STRANGERS, TAKES
from tests.services import free_port
from tests.wyoming.peers import SpeechToText, serving, speak
from voiceguard.audio.files import load_audio


async def measure(
    folder: Path, model: str, models: Path | None, num_turns: int
) -> dict[str, object]:
    """The figures of one encoder."""
    state = folder / "state"
    if models is not None:
        state.mkdir()
        (state / "models").symlink_to(models / "models")
    done = voiceguard("enroll", "anna", "--from", *TAKES, "--yes", "--model", model, state=state)
    assert done.returncode == 0, done.stderr
    port, turns = free_port(), [load_audio(each) for each in (*SPOKEN, *STRANGERS)]
    added_s, straight_s, config = list[float](), list[float](), folder / "voiceguard.toml"
    async with mosquitto(folder / "broker") as broker, serving(SpeechToText()) as upstream:
        config.write_text(
            f'[audio]\nsources = []\n[encoder]\nmodel = "{model}"\n'
            f'[mqtt]\nbroker = "{broker.url}"\n[wyoming]\nannounce = false\n'
            f'[[wyoming.proxy]]\nname = "kitchen"\nlisten = "tcp://127.0.0.1:{port}"\n'
            f'upstream = "{upstream.uri}"\npolicy = "tag"\n'
        )
        async with running_daemon(folder, "--config", str(config)):
            for number in range(num_turns):
                samples = turns[number % len(turns)]
                added_s.append((await speak(port, samples, pace=1.0)).took_s)
                straight_s.append((await speak(upstream.port, samples[:16_000])).took_s)
            told = json.loads(voiceguard("status", "--json", state=state).stdout)
    room = told["wyoming"]["kitchen"]
    return {
        "encoder": told["encoder"]["name"],
        "num_turns": num_turns,
        **{f"p{share}_ms": _ms(percentile(added_s, share / 100)) for share in (50, 95, 99)},
        "straight_p95_ms": _ms(percentile(straight_s, 0.95)),
        "transcripts_late": room["transcripts_late"],
        "load_before": os.getloadavg()[0],
    }


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.assistant_turn")
    parser.add_argument("--model", default="default")
    parser.add_argument("--state-dir", type=Path, help="has that model in models/")
    parser.add_argument("--turns", type=int, default=40)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = measure(Path(folder), asked.model, asked.state_dir, asked.turns)
        print(json.dumps(asyncio.run(work)))


if __name__ == "__main__":
    main()
