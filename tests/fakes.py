"""Hand-written stand-ins for the protocols; the only fakes that the tests use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.errors import EncoderError
from voiceguard.speech.vad.energy import EnergyVad
from voiceguard.testing import FakeEncoder as PitchEncoder
from voiceguard.testing import easy_calibration as plain_calibration
from voiceguard.testing import make_decision as made_up
from voiceguard.testing import make_judgement, quiet, tone
from voiceguard.testing.encoder import ENCODER_ID
from voiceguard.types import (
    SAMPLE_RATE_HZ,
    AudioChunk,
    Embedding,
    EndCause,
    Outcome,
    Reason,
    Samples,
    SegmentEnd,
    SourceState,
    SourceStatistics,
    SourceStatus,
    Template,
    Voiceprint,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from voiceguard.decisions.result import Decision

__all__ = ["ENCODER_ID", "PitchEncoder", "plain_calibration", "quiet", "tone"]  # as they came

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass
class FakeClock:
    """Time that stands still until it is told otherwise."""

    now_s: float = 1000.0
    slept_s: float = 0.0
    set_by_s: float = 0.0
    """What somebody has set the wall clock by, forward or, negative, back."""

    def monotonic_s(self) -> float:
        return self.now_s

    def utc(self) -> datetime:
        return NOON + timedelta(seconds=self.now_s - 1000.0 + self.slept_s + self.set_by_s)

    def suspended_s(self) -> float:
        return self.slept_s


@dataclass
class FakeSource:
    """Plays a list of events, then ends; with ``hold`` it waits for ``close`` instead.

    A callable among the events is called when its turn comes, after all before it were decided.
    """

    script: Sequence[AudioChunk | SourceStatus | Callable[[], None]]
    name: str = "kitchen"
    is_live: bool = False
    hold: bool = False
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    counts: SourceStatistics = field(default_factory=SourceStatistics)

    async def events(self) -> AsyncIterator[AudioChunk | SourceStatus]:
        for event in self.script:
            if callable(event):
                await asyncio.sleep(0.1)
                event()
            else:
                yield event
                await asyncio.sleep(0)
        if self.hold:
            await self.closed.wait()

    async def close(self) -> None:
        self.closed.set()

    def statistics(self) -> SourceStatistics:
        return self.counts


def chunks(
    samples: Samples, *, rate_hz: int = SAMPLE_RATE_HZ, block_s: float = 0.1, start_s: float = 1000
) -> list[AudioChunk]:
    """Cuts mono audio into chunks, delivered on a clock that starts at ``start_s``."""
    block = round(block_s * rate_hz)
    return [
        AudioChunk(
            samples=samples[first : first + block, None],
            rate_hz=rate_hz,
            first_sample=first,
            delivered_at_s=start_s + min(first + block, len(samples)) / rate_hz,
        )
        for first in range(0, len(samples), block)
    ]


def listening() -> SourceStatus:
    return SourceStatus(state=SourceState.LISTENING)


def ended() -> SourceStatus:
    return SourceStatus(state=SourceState.ENDED)


class CollectingSink:
    """Remembers what was published."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def publish(self, decision: Decision) -> None:
        self.decisions.append(decision)

    @property
    def finals(self) -> list[Decision]:
        return [decision for decision in self.decisions if decision.is_final]


@dataclass
class FakeOverlap:
    """An ``OverlapDetector`` that answers as it is told, and keeps the lengths of what it heard."""

    answer: bool = True
    fails: bool = False
    lengths: list[int] = field(default_factory=list)

    def hears_two(self, samples: Samples) -> bool:
        """See ``OverlapDetector``."""
        self.lengths.append(len(samples))
        if self.fails:
            raise EncoderError("no number came out")
        return self.answer


def hears_tones() -> EnergyVad:
    """A fresh detector for tones and noise, which are no speech to one that knows speech."""
    return EnergyVad(enter_db=8.0, exit_db=5.0)


def make_window(
    *, segment: int = 0, first_sample: int = 0, seconds: float = 1.0, is_probe: bool = False
) -> Window:
    num_samples = round(seconds * SAMPLE_RATE_HZ)
    return Window(
        segment=segment,
        first_sample=first_sample,
        samples=np.zeros(num_samples, dtype=np.float32),
        net_speech_s=seconds,
        segment_speech_s=seconds,
        snr_db=20.0,
        is_probe=is_probe,
    )


def make_end(*, segment: int = 0, end_sample: int = 16_000) -> SegmentEnd:
    return SegmentEnd(
        segment=segment,
        first_sample=0,
        end_sample=end_sample,
        net_speech_s=1.0,
        snr_db=20.0,
        cause=EndCause.SILENCE,
    )


def make_voiceprint(
    speaker: str, embedding: Embedding, *, encoder_id: str = ENCODER_ID
) -> Voiceprint:
    template = Template(embedding=embedding, net_speech_s=5.0, snr_db=20.0, created_at=NOON)
    return Voiceprint(
        speaker=speaker,
        display_name=speaker.title(),
        encoder_id=encoder_id,
        templates=(template,),
        consent_at=NOON,
        created_at=NOON,
        updated_at=NOON,
    )


def make_decision(
    *,
    outcome: Outcome = Outcome.ACCEPTED,
    speaker: str | None = "anna",
    is_final: bool = True,
    llr: float = 7.0,
) -> Decision:
    judgement = make_judgement(
        outcome=outcome,
        reason=Reason.ABOVE_THRESHOLD,
        speaker=speaker,
        is_final=is_final,
        llr=llr,
    )
    return made_up(judgement, delivered_at=NOON + timedelta(seconds=3))


def altered(decision: Decision, **figures: Any) -> Decision:  # noqa: ANN401
    """The same decision with other figures, wherever they lie in it."""

    def part(value: Any) -> Any:  # noqa: ANN401
        own = {each.name for each in fields(value)} & figures.keys()
        return replace(value, **{name: figures[name] for name in own})

    said = decision.judgement
    judgement = replace(part(said), verdict=part(said.verdict), evidence=part(said.evidence))
    return replace(part(decision), judgement=judgement)  # type: ignore[no-any-return]
