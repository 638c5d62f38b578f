"""One stream's journey from microphone to decision. Start reading here.

===  =====================  ====================================  ==============================
hop  where                  thread                                in -> out
===  =====================  ====================================  ==============================
1    audio/*                capture callback or I/O executor      device -> AudioChunk
2    Stream.listen          event loop                            AudioChunk -> Window, SegmentEnd
     (speech/ear)
3    Inference (encoder/*)  inference executor                    Window -> Embedding
                                                                  (and: one voice, or several?)
4    Decider, Judge         event loop                            Embedding -> SpeakerScore
     (scoring/scorer)
5    Decider, Judge         event loop                            SpeakerScore -> Decision
     (scoring/policy)
6    mqtt/*, sinks          event loop                            Decision -> MQTT, JSON, history
===  =====================  ====================================  ==============================

Between hops 1 and 2 lies the source's ring buffer, between 2 and 3 the WindowChannel; both are
bounded and count what they lose. Every segment of speech ends in exactly one final decision,
unless the machine slept through it, or the encoder stalls for so long that the channel is full of
ends (``segments_dropped``).
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from voiceguard.pipeline.channel import Arrival, WindowChannel
from voiceguard.pipeline.decider import Decider
from voiceguard.pipeline.inference import Inference
from voiceguard.types import (
    SourceState,
    SourceStatistics,
    SourceStatus,
    TurnEnd,
    TurnStart,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import DecisionSink
    from voiceguard.pipeline.channel import Item
    from voiceguard.pipeline.inference import Inferred
    from voiceguard.pipeline.judge import Judge
    from voiceguard.protocols import AudioSource, EncoderStream, OverlapDetector, StreamWatcher
    from voiceguard.speech.ear import Ear, Heard
    from voiceguard.types import AudioChunk

log = structlog.get_logger(__name__)

SUSPEND_TOLERANCE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatistics(SourceStatistics):
    """Counters of one stream since it was opened: its source's, and its own."""

    samples_not_finite: int
    """NaN or infinite as the device or file had them; taken for silence."""
    speech_s: float
    segments: int
    windows_embedded: int
    windows_superseded: int
    segments_dropped: int

    @property
    def losses(self) -> dict[str, float]:
        """What was lost, by the counters' names; those at zero are left out."""
        names = (
            *("samples_lost", "samples_missed", "num_overflows", "overflow_s", "num_reopened"),
            *("outage_s", "samples_not_finite", "segments_dropped"),
        )
        return {name: value for name in names if (value := getattr(self, name))}


class Stream:
    """Takes one source's audio through hops 2 to 5 and hands decisions to hop 6.

    Two coroutines, run side by side by the daemon: ``listen`` reads and cuts, ``decide`` embeds
    and judges. Inference happens on the executor, so neither ever blocks the event loop.

    Args:
        source: Hop 1.
        ear: Hop 2, fresh.
        encoder: Hop 3, this stream's own view of the encoder.
        judge: Gives hops 4 and 5 as they are at this moment; voiceprints may change any time.
        sink: Hop 6.
        executor: The inference executor.
        clock: Time, for stamps and to notice that the machine slept.
        on_status: Told of every change of the source's state.
        watcher: Follows what is heard and scored, for display.
        on_turn_decided: Told of a turn, by its id, all of which has been decided.
        overlap: Hears whether several voices speak at once; None: nobody does.
    """

    def __init__(
        self,
        source: AudioSource,
        *,
        ear: Ear,
        encoder: EncoderStream,
        judge: Callable[[], Judge],
        sink: DecisionSink,
        executor: Executor,
        clock: Clock,
        on_status: Callable[[str, SourceStatus], None] = lambda _name, _status: None,
        watcher: StreamWatcher | None = None,
        on_turn_decided: Callable[[str], None] = lambda _turn_id: None,
        overlap: OverlapDetector | None = None,
    ) -> None:
        self.name = source.name
        self.is_live = source.is_live
        self.status = SourceStatus(state=SourceState.STARTING)
        self.opened_at = clock.utc()
        self._source = source
        self._ear = ear
        self._inference = Inference(source.name, encoder, overlap)
        self._executor = executor
        self._clock = clock
        self._on_status = on_status
        self._watcher = watcher
        self._on_turn_decided = on_turn_decided
        self._turn_id: str | None = None
        self._windows = WindowChannel(is_live=source.is_live)
        self._decider = Decider(
            source.name,
            judge=judge,
            sink=sink,
            clock=clock,
            max_window_samples=ear.max_window_samples,
            min_window_speech_s=ear.min_window_speech_s,
            watcher=watcher,
        )
        self._opened_at_s = 0.0
        self._suspended_s = clock.suspended_s()
        self._inference_began_s: float | None = None

    # --- hops 1 and 2 -----------------------------------------------------------------------

    async def listen(self) -> None:
        """Reads the source until it ends, and cuts its speech into windows."""
        try:
            async for event in self._source.events():
                if isinstance(event, SourceStatus):
                    await self._note_status(event)
                elif isinstance(event, TurnStart):
                    self._turn_id = event.turn_id
                elif isinstance(event, TurnEnd):
                    await self._end_turn(event)
                else:
                    await self._take(event)
            await self._hand_over(self._ear.finish())
        finally:
            await self._windows.close()

    async def close(self) -> None:
        """Frees the source; ``listen`` and then ``decide`` come to their end."""
        await self._source.close()

    async def _note_status(self, status: SourceStatus) -> None:
        self.status = status
        if status.state not in {SourceState.LISTENING, SourceState.ENDED, SourceState.STARTING}:
            await self._hand_over(self._ear.gap())
        self._on_status(self.name, status)

    async def _end_turn(self, end: TurnEnd) -> None:
        """Nothing joins on, and nobody waits for a pause: what is open is decided now."""
        await self._hand_over([*self._ear.finish(), end])
        self._turn_id = None

    async def _take(self, chunk: AudioChunk) -> None:
        if self._has_slept() or not self._ear.follows(chunk):
            await self._hand_over(self._ear.gap(before=chunk))
        end_s = (chunk.first_sample + len(chunk.samples)) / chunk.rate_hz
        self._opened_at_s = chunk.delivered_at_s - end_s
        await self._hand_over(
            self._ear.push(chunk.samples, chunk.rate_hz), delivered_at_s=chunk.delivered_at_s
        )
        if self._watcher is not None:
            self._watcher.heard(self.name, chunk, is_speech=self._ear.hears_speech)

    def _has_slept(self) -> bool:
        """Whether the machine was suspended; then nothing that is pending is true any more."""
        slept_s = self._clock.suspended_s() - self._suspended_s
        if slept_s <= SUSPEND_TOLERANCE_S:
            return False
        self._suspended_s += slept_s
        self._windows.clear()
        log.warning("suspend_noticed", stream=self.name, slept_s=round(slept_s, 1))
        return True

    async def _hand_over(
        self, heard: Iterable[Item], *, delivered_at_s: float | None = None
    ) -> None:
        """To the decider; where no audio was delivered, what tells of that arrives now."""
        at_s = self._clock.monotonic_s() if delivered_at_s is None else delivered_at_s
        arrival = Arrival(at_s, self._opened_at_s, self._clock.suspended_s(), self._turn_id)
        for item in heard:
            await self._windows.put(item, arrival)

    # --- hops 3 to 6 ------------------------------------------------------------------------

    async def decide(self) -> None:
        """Embeds windows and judges segments, until ``listen`` has come to its end."""
        async for pending in self._windows.items():
            if isinstance(pending.item, TurnEnd):
                self._on_turn_decided(pending.item.turn_id)
            else:
                await self._weigh(pending.item, pending.arrival)

    async def _weigh(self, item: Heard, arrival: Arrival) -> None:
        inferred = await self._infer(item)
        boundary = self._decider.take(item, inferred, arrival)
        if boundary is not None:
            self._split(item.segment, boundary, arrival)

    async def _infer(self, item: Heard) -> Inferred:
        """On the executor, watched for how long it takes."""
        infer = partial(
            self._inference.infer, item, is_decided_on=self._decider.is_decided_on(item)
        )
        self._inference_began_s = self._clock.monotonic_s()
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._executor, infer)
        finally:
            self._inference_began_s = None

    def _split(self, segment: int, boundary: int, arrival: Arrival) -> None:
        """Ends the segment where the voice changed; what follows is judged for itself."""
        items = self._ear.split(segment, boundary)
        self._decider.note_change(segment, boundary, is_cut=bool(items))
        if items:
            self._windows.withdraw(segment, boundary)
        for item in items:
            self._windows.put_nowait(item, arrival)

    # --- for the daemon ---------------------------------------------------------------------

    def inference_age_s(self) -> float:
        """How long the inference under way has been running; 0.0 when there is none."""
        began_s = self._inference_began_s
        return 0.0 if began_s is None else self._clock.monotonic_s() - began_s

    def statistics(self) -> StreamStatistics:
        """The source's counters and this stream's own."""
        return StreamStatistics(
            **asdict(self._source.statistics()),
            samples_not_finite=self._ear.num_not_finite,
            speech_s=round(self._decider.speech_s, 2),
            segments=self._decider.num_segments,
            windows_embedded=self._inference.num_embedded,
            windows_superseded=self._windows.windows_superseded,
            segments_dropped=self._windows.segments_dropped,
        )
