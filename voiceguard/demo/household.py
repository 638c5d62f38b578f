"""The demo: a synthetic household, the real daemon, and a consumer of its decisions.

``voiceguard demo`` shows it. The scene (:mod:`voiceguard.demo.scene`) is listened to in real
time, by the daemon as it ships, with the policy as it ships. What comes back is received over
MQTT by a client that shares nothing with the daemon but the broker, and is compared with what was
said; where no broker can be embedded, the daemon hands it over inside the process. Runs on the
event loop; the daemon inside brings its own threads.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import wave
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiomqtt
import numpy as np

from voiceguard.audio.files import load_audio
from voiceguard.audio.sources import AudioConfig
from voiceguard.decisions.sinks import CallbackSink
from voiceguard.decisions.wire import decision_payload
from voiceguard.enrollment import EnrollmentSession
from voiceguard.mqtt import embedded
from voiceguard.mqtt.config import MqttConfig
from voiceguard.service.daemon import Daemon
from voiceguard.service.kit import assemble, open_store
from voiceguard.settings import Settings
from voiceguard.types import SAMPLE_RATE_HZ, Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from voiceguard.decisions.result import Decision, DecisionSink
    from voiceguard.demo.scene import Said, Scene
    from voiceguard.types import Samples

MATCH_TOLERANCE_S = 0.7
"""A decision's start and end may lie so far outside of what was said (pre-roll, hangover)."""

LAST_MESSAGE_S = 0.3
"""For the last decision's way from the broker to the consumer, once the daemon has ended."""


# --- what is decided ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """A decision as the consumer received it (``decisions/wire.py``)."""

    payload: Mapping[str, Any]
    received_at: datetime

    @property
    def latency_ms(self) -> float:
        """From the last sample that the decision waited for to the consumer."""
        delivered_at = datetime.fromisoformat(self.payload["delivered_at"])
        return 1000 * (self.received_at - delivered_at).total_seconds()

    @property
    def is_accept(self) -> bool:
        return bool(self.payload["outcome"] == Outcome.ACCEPTED)

    @property
    def is_final(self) -> bool:
        return bool(self.payload["is_final"])

    @property
    def llr(self) -> float | None:
        """The best speaker's."""
        for score in self.payload["scores"]:
            return None if score["llr"] is None else float(score["llr"])
        return None


def match(heard: Heard, said: Sequence[Said]) -> Said | None:
    """What a decision is about: whatever it overlaps with most, or lies closest to."""
    start_s, end_s = float(heard.payload["start_s"]), float(heard.payload["end_s"])

    def overlap_s(item: Said) -> float:  # negative: the distance between the two
        return min(item.end_s, end_s) - max(item.start_s, start_s)

    best = max(said, key=overlap_s, default=None)
    return best if best is not None and overlap_s(best) > -MATCH_TOLERANCE_S else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the demo has shown."""

    num_enrolled: int
    """Utterances of the enrolled speaker."""
    num_accepted: int
    """Of these, the ones that were accepted as that speaker."""
    num_too_short: int
    """Of the others, the ones that held too little speech to judge."""
    num_decisions: int
    """Final ones."""
    false_accepts: tuple[Heard, ...]
    """Accepts, provisional ones too, of anybody or anything else, or as somebody else."""
    latency_ms: tuple[float, float] | None
    """Median and maximum; None without a decision."""

    @property
    def is_success(self) -> bool:
        return self.num_accepted > 0 and not self.false_accepts


def summarise(scene: Scene, heard: Sequence[Heard]) -> Summary:
    """Compares what was decided with what was said."""
    accepted: set[Said] = set()
    too_short: set[Said] = set()
    false_accepts: list[Heard] = []
    for decision in heard:
        about = match(decision, scene.said)
        if about is None or not about.is_enrolled:
            if decision.is_accept:
                false_accepts.append(decision)
        elif decision.is_accept and decision.payload["speaker"] != scene.speaker:
            false_accepts.append(decision)
        elif decision.is_accept and decision.is_final:
            accepted.add(about)
        elif decision.payload["reason"] == Reason.TOO_SHORT:
            too_short.add(about)
    latencies_ms = [decision.latency_ms for decision in heard]
    return Summary(
        num_enrolled=sum(item.is_enrolled for item in scene.said),
        num_accepted=len(accepted),
        num_too_short=len(too_short - accepted),
        num_decisions=sum(decision.is_final for decision in heard),
        false_accepts=tuple(false_accepts),
        latency_ms=(statistics.median(latencies_ms), max(latencies_ms)) if latencies_ms else None,
    )


# --- the show -------------------------------------------------------------------------------


async def run_demo(
    scene: Scene, folder: Path, *, is_paced: bool = True, on_heard: Callable[[Heard], None]
) -> bool:
    """Enrolls the scene's speaker, runs the daemon over the scene, and listens to what it says.

    Every setting has its built-in default, whatever this machine's configuration says, but for
    the source, the broker and the state directory.

    Args:
        scene: What is heard.
        folder: An empty directory for state and recording.
        is_paced: In real time; else as fast as it goes, with the same decisions.
        on_heard: Called with every decision as it is received.

    Returns:
        Whether the scene was heard to its end; False: a signal has stopped the daemon.

    Raises:
        VoiceguardError: Enrollment failed, or the daemon could not run.
    """
    recording = folder / "scene.wav"
    write_wav(recording, scene.samples)
    audio = AudioConfig(sources=(f"scene=file:{recording}",), paced=is_paced)

    async def listen(broker: str, *sinks: DecisionSink) -> bool:
        settings = demo_settings(folder / "state", audio, broker)
        await asyncio.to_thread(_enroll, scene, settings)
        began_s = time.monotonic()
        await Daemon(settings, sinks=sinks).run()
        return not is_paced or time.monotonic() - began_s >= scene.duration_s

    def hand_over(decision: Decision) -> None:
        on_heard(Heard(decision_payload(decision), datetime.now(UTC)))

    if not embedded.is_installed():
        return await listen("none", CallbackSink(hand_over))
    async with _consumer(on_heard) as broker:
        return await listen(broker)


def _enroll(scene: Scene, settings: Settings) -> None:
    session = EnrollmentSession(
        open_store(settings), scene.speaker, display_name=scene.display_name
    )
    session.consent(datetime.now(UTC))  # nobody's voice: see demo_audio/LICENSE.txt
    takes = session.begin(assemble(settings))
    for take in scene.takes:
        takes.add(load_audio(take), recorded_at=datetime.now(UTC))
    session.finish(takes, now=datetime.now(UTC))


@asynccontextmanager
async def _consumer(on_heard: Callable[[Heard], None]) -> AsyncIterator[str]:
    """A broker, whose address it yields, and somebody who listens to it.

    On any free port but MQTT's own: somebody's home may look for its broker there.
    """
    async with (
        embedded.embedded_broker(0) as address,
        aiomqtt.Client(
            address.host, address.port, protocol=aiomqtt.ProtocolVersion.V311
        ) as consumer,
    ):
        topics = _mqtt(str(address)).topics
        for topic in (topics.decision, topics.provisional):
            await consumer.subscribe(topic, qos=1)
        listening = asyncio.create_task(_consume(consumer, on_heard), name="demo-consumer")
        try:
            yield str(address)
            await asyncio.sleep(LAST_MESSAGE_S)
        finally:
            listening.cancel()
            await asyncio.wait({listening})


async def _consume(client: aiomqtt.Client, on_heard: Callable[[Heard], None]) -> None:
    async for message in client.messages:
        received_at = datetime.now(UTC)
        assert isinstance(message.payload, bytes)
        on_heard(Heard(json.loads(message.payload), received_at))


def _mqtt(broker: str) -> MqttConfig:
    # 3.1.1 by choice, which the embedded broker speaks; the only listener is here all the time.
    return MqttConfig(
        broker=broker, protocol="3.1.1", node_id="demo", decisions_without_expiry=True
    )


def demo_settings(state: Path, audio: AudioConfig, broker: str) -> Settings:
    """Built-in defaults, out of reach of configuration files and environment."""
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in Settings.model_fields.items()
    }
    return Settings(
        **defaults
        | {
            "state_dir": str(state),
            "key_file": str(state / "demo.key"),
            "audio": audio,
            "mqtt": _mqtt(broker),
        }
    )


def write_wav(path: Path, samples: Samples) -> None:
    """Mono 16 kHz, 16 bit."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
