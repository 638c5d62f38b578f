"""Hand-written stand-ins for the protocols; the only fakes that the tests use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.decisions.result import Decision, Judgement
from voiceguard.scoring.calibration import Calibration, Provenance
from voiceguard.scoring.policy import Evidence, Verdict
from voiceguard.scoring.tail import fit_tail
from voiceguard.types import (
    SAMPLE_RATE_HZ,
    AudioChunk,
    Embedding,
    EncoderInfo,
    EndCause,
    Outcome,
    Reason,
    Samples,
    SegmentEnd,
    SourceState,
    SourceStatistics,
    SourceStatus,
    SpeakerScore,
    Template,
    Voiceprint,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

ENCODER_ID = "0123456789abcdef"
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


class PitchEncoder:
    """Embeds a tone's frequency: voices are tones, and two tones are two directions.

    The spectrum below 4 kHz in 32 bands, so that equal tones have cosine 1 and far ones about 0.
    """

    def __init__(self, encoder_id: str = ENCODER_ID) -> None:
        self.info = EncoderInfo(
            encoder_id=encoder_id,
            name="pitch",
            embedding_dim=32,
            num_parameters=0,
            min_window_s=0.1,
        )
        self.num_calls = 0
        self.fails = False

    def embed(self, samples: Samples) -> Embedding:
        self.num_calls += 1
        if self.fails:
            raise RuntimeError("the encoder is broken")
        power = np.abs(np.fft.rfft(samples)) ** 2
        band = np.arange(len(power)) * 32 // (len(power) // 2)  # 125 Hz wide, up to 4 kHz
        bands = np.bincount(band.clip(max=32), weights=power)[:32]
        return (bands / np.linalg.norm(bands)).astype(np.float32)

    def open_stream(self) -> PitchStream:
        return PitchStream(self)


class PitchStream:
    def __init__(self, encoder: PitchEncoder) -> None:
        self._encoder = encoder

    def embed(self, window: Window) -> Embedding:
        return self._encoder.embed(window.samples)


class CollectingSink:
    """Remembers what was published."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def publish(self, decision: Decision) -> None:
        self.decisions.append(decision)

    @property
    def finals(self) -> list[Decision]:
        return [decision for decision in self.decisions if decision.is_final]


def tone(hz: float, seconds: float, *, level: float = 0.2, seed: int = 0) -> Samples:
    """A "voice": a tone with a syllable's rhythm, so that a speech gate takes it for speech."""
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * 4.0 * t)
    noise = np.random.default_rng(seed).normal(0, 1e-4, len(t))
    return (level * syllables * np.sin(2 * np.pi * hz * t) + noise).astype(np.float32)


def quiet(seconds: float, *, level: float = 1e-4, seed: int = 1) -> Samples:
    """A silent room: a little noise."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, level, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


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


def plain_calibration(encoder_id: str = ENCODER_ID) -> Calibration:
    """Cosine 0.5 is undecided, 1 is nearly certain; fitted on Gaussian LLRs, no cohort."""
    rng = np.random.default_rng(7)
    nontarget, target = rng.normal(-8.0, 2.0, 2000), rng.normal(8.0, 2.0, 2000)
    return Calibration(
        encoder_id=encoder_id,
        cohort_id=None,
        slope=20.0,
        offset=-10.0,
        quality_range=((np.log(0.8), np.log(10.0)), (0.0, 40.0)),
        nontarget_tails=(fit_tail(nontarget, condition="clean", num_independent=2000),),
        target_tails=(fit_tail(-target, condition="clean", num_independent=2000),),
        provenance=Provenance(
            created_on="2026-11-21",
            corpora=("synthetic",),
            num_speakers=2,
            num_target_trials=2000,
            num_nontarget_trials=2000,
            p_target=0.05,
            cllr=0.01,
            min_cllr=0.01,
            eer=0.001,
        ),
    )


def make_decision(
    *,
    outcome: Outcome = Outcome.ACCEPTED,
    speaker: str | None = "anna",
    is_final: bool = True,
    llr: float = 7.0,
) -> Decision:
    return Decision(
        decision_id="11111111-2222-4333-8444-555555555555",
        stream="kitchen",
        segment=3,
        judgement=Judgement(
            verdict=Verdict(
                outcome=outcome,
                reason=Reason.ABOVE_THRESHOLD,
                speaker=speaker,
                p_fa=0.01,
                accept_llr=4.6,
            ),
            scores=(SpeakerScore(speaker="anna", cosine=0.7, normalised=6.0, llr=llr),),
            evidence=Evidence(net_speech_s=2.4, snr_db=21.0, is_final=is_final),
            encoder_id=ENCODER_ID,
        ),
        start_s=10.0,
        end_s=12.5,
        started_at=NOON,
        ended_at=NOON + timedelta(seconds=2.5),
        delivered_at=NOON + timedelta(seconds=3),
        decided_at=NOON + timedelta(seconds=3.02),
        expires_at=NOON + timedelta(seconds=8),
    )


def altered(decision: Decision, **figures: Any) -> Decision:  # noqa: ANN401
    """The same decision with other figures, wherever they lie in it."""

    def part(value: Any) -> Any:  # noqa: ANN401
        own = {each.name for each in fields(value)} & figures.keys()
        return replace(value, **{name: figures[name] for name in own})

    said = decision.judgement
    judgement = replace(part(said), verdict=part(said.verdict), evidence=part(said.evidence))
    return replace(part(decision), judgement=judgement)  # type: ignore[no-any-return]
