"""Plays audio to the daemon's own pipeline and writes down what every decision was made from.

The pipeline (gate, windows, encoder, pooling, change of speaker) does not depend on who is
enrolled. So each clip goes through it once, in front of a judge who knows nobody and takes notes;
afterwards the notes can be put to any judge: all voiceprints, calibrations and policies.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from voiceguard.lab.corpora.lazy_embedding import lazy_stream
from voiceguard.pipeline.judge import Judge
from voiceguard.pipeline.stream import Stream
from voiceguard.scoring.scorer import Scorer
from voiceguard.types import SAMPLE_RATE_HZ, AudioChunk, SourceStatistics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voiceguard.decisions.result import Decision, Judgement
    from voiceguard.lab.evaluation.daemon.speaker_changes import Probes
    from voiceguard.scoring.policy import Evidence
    from voiceguard.service.kit import Kit
    from voiceguard.speech.gate import GateConfig
    from voiceguard.types import Embedding, Samples, SourceStatus

_CHUNK_SAMPLES = SAMPLE_RATE_HZ

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Note:
    """What a judge was asked: one decision's evidence."""

    embedding: Embedding | None
    evidence: Evidence
    known_s: float
    """How much of the clip had been heard when it was asked: to a window's end, or to the end of
    the pause that ended the segment."""

    def put_to(self, judge: Judge) -> Judgement:
        """The same question to another judge."""
        return judge.judge(self.embedding, self.evidence)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeardSegment:
    """One segment of speech as the daemon heard it."""

    looks: tuple[Note, ...]
    """Before its end, oldest first."""
    final: Note
    start_s: float
    end_s: float

    def overlap_s(self, start_s: float, end_s: float) -> float:
        """How much of it lies between two times."""
        return max(0.0, min(self.end_s, end_s) - max(self.start_s, start_s))


def hear(
    kit: Kit, samples: Samples, *, change_cosine: float | None, probes: Probes | None = None
) -> tuple[HeardSegment, ...]:
    """Runs a clip through the pipeline.

    Args:
        kit: Encoder, gate, windows, policy and what hears overlap; its cohort and calibration play
            no part.
        samples: ``(num_samples,)`` mono 16 kHz.
        change_cosine: As in a calibration: where a change of speaker ends a segment.
        probes: Takes note of those that are heard.
    """
    encoder = lazy_stream(kit.encoder)
    notes = _NoteTaker(
        encoder_id=kit.encoder.info.encoder_id,
        scorer=Scorer((), None, None),
        policy=kit.settings.policy,  # says when there are provisional looks
        calibration=None,
        change_below=change_cosine,
    )
    decisions = _Decisions()
    stream = Stream(
        _Clip(samples),
        ear=kit.make_ear(),
        encoder=encoder if probes is None else probes.of(encoder),
        judge=lambda: notes,
        sink=decisions,
        executor=_AtOnce(),
        clock=_StillClock(),
        overlap=kit.overlap,
    )

    async def listen_and_decide() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stream.listen())
            tasks.create_task(stream.decide())

    asyncio.run(listen_and_decide())
    return _segments(notes.embeddings, decisions.published, kit.settings.gate)


def _segments(
    embeddings: list[Embedding | None], decisions: list[Decision], gate: GateConfig
) -> tuple[HeardSegment, ...]:
    segments: list[HeardSegment] = []
    looks: list[Note] = []
    for embedding, decision in zip(embeddings, decisions, strict=True):
        # Who speaks on and on is cut, without a pause to wait for.
        awaits_pause = decision.is_final and decision.net_speech_s < gate.max_speech_s
        known_s = decision.end_s + awaits_pause * gate.hangover_s
        evidence = decision.judgement.evidence
        note = Note(embedding=embedding, evidence=evidence, known_s=known_s)
        if not decision.is_final:
            looks.append(note)
            continue
        segments.append(
            HeardSegment(
                looks=tuple(looks), final=note, start_s=decision.start_s, end_s=decision.end_s
            )
        )
        looks = []
    return tuple(segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class _NoteTaker(Judge):
    """A judge who knows nobody, and keeps every embedding."""

    embeddings: list[Embedding | None] = field(default_factory=list)
    change_below: float | None

    @property
    def change_cosine(self) -> float | None:
        return self.change_below

    def judge(self, embedding: Embedding | None, evidence: Evidence) -> Judgement:
        self.embeddings.append(embedding)
        judgement = Judge.judge(self, embedding, evidence)
        # Another name each time: only what says something new is published, and gets its times.
        speaker = str(len(self.embeddings))
        return replace(judgement, verdict=replace(judgement.verdict, speaker=speaker))


class _Decisions:
    """A sink that keeps decisions, for their times."""

    def __init__(self) -> None:
        self.published: list[Decision] = []

    def publish(self, decision: Decision) -> None:
        self.published.append(decision)


class _Clip:
    """An ``AudioSource`` over an array, as fast as it is read."""

    name = "clip"
    is_live = False

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    async def events(self) -> AsyncIterator[AudioChunk | SourceStatus]:
        for start in range(0, len(self._samples), _CHUNK_SAMPLES):
            chunk = self._samples[start : start + _CHUNK_SAMPLES, None]
            yield AudioChunk(
                samples=chunk, rate_hz=SAMPLE_RATE_HZ, first_sample=start, delivered_at_s=0.0
            )

    async def close(self) -> None:
        self._samples = self._samples[:0]

    def statistics(self) -> SourceStatistics:
        return SourceStatistics()


class _AtOnce(Executor):
    """Runs what it is given at once, on the caller's thread: nobody else waits for this loop."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # the caller of result() gets it
            future.set_exception(error)
        return future


class _StillClock:
    """Time stands still: decisions on clips are not published."""

    def monotonic_s(self) -> float:
        return 0.0

    def utc(self) -> datetime:
        return datetime(2000, 1, 1, tzinfo=UTC)

    def suspended_s(self) -> float:
        return 0.0
