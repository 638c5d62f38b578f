"""Audio that the caller pushes, decided on as it comes: hops 2 to 5 without a source.

In: samples at any rate, in pieces of any size. Out: the decisions that each piece led to, the same
that the daemon would have published. On the caller's thread; ``AsyncPushedStream`` does it on a
thread of asyncio's, one piece at a time. Nothing waits in a queue: a caller that is slower than
real time only gets its decisions later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ParamSpec, Self

from voiceguard.api.arrays import as_float
from voiceguard.audio.config import MAX_RATE_HZ, MIN_RATE_HZ
from voiceguard.clock import SystemClock
from voiceguard.errors import AudioError, UsageError
from voiceguard.pipeline.channel import Arrival
from voiceguard.pipeline.decider import Decider
from voiceguard.pipeline.inference import Inference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.pipeline.judge import Judge
    from voiceguard.protocols import EncoderStream, OverlapDetector
    from voiceguard.speech.ear import Ear, Heard

_P = ParamSpec("_P")


class PushedStream:
    """One stream of audio that its owner feeds. Not for two threads at once.

    Args:
        name: As decisions name it.
        ear: Hop 2, fresh.
        encoder: Hop 3, this stream's own view of the encoder.
        judge: Gives hops 4 and 5 as they are at this moment.
        clock: For the stamps: what is fed counts as having been spoken just now.
        overlap: Hears whether several voices speak at once; None: nobody does.
    """

    def __init__(
        self,
        name: str,
        *,
        ear: Ear,
        encoder: EncoderStream,
        judge: Callable[[], Judge],
        clock: Clock | None = None,
        overlap: OverlapDetector | None = None,
    ) -> None:
        self.name = name
        self._ear = ear
        self._inference = Inference(name, encoder, overlap)
        self._clock = clock or SystemClock()
        self._collected: list[Decision] = []
        self._rate_hz: int | None = None
        self._fed_s = 0.0
        self._is_finished = False
        self._has_missed = False
        """Audio that an error kept from being heard."""
        self._look_up_judge = judge
        self._judge = judge()
        self._decider = Decider(
            name,
            judge=lambda: self._judge,
            sink=_Collector(self._collected),
            clock=self._clock,
            max_window_samples=ear.max_window_samples,
            min_window_speech_s=ear.min_window_speech_s,
        )

    def feed(self, samples: NDArray[Any], sample_rate: int) -> list[Decision]:
        """Hears what comes next.

        Args:
            samples: ``(num_samples,)`` or ``(num_samples, channels)``; floats with full scale 1,
                or int16. A piece of any length.
            sample_rate: Theirs, in Hz. Another rate than before ends the segment of speech.

        Returns:
            The decisions that it led to, oldest first; mostly none.

        Raises:
            AudioError: No such array or rate, or no such channel.
            ConfigError: A rule of [people] names somebody who is not enrolled.
            StoreKeyError: The voiceprints' key is missing or wrong: nobody can be recognised.
            UsageError: The stream is finished.

        Whatever it raises, this piece was not heard: there is a ``gap`` before the next one.
        """
        if self._is_finished:
            raise UsageError(
                f"the stream {self.name!r} is finished", hint="open another one: guard.stream()"
            )
        has_missed, self._has_missed = self._has_missed, True  # until this piece is heard
        block = as_float(samples)
        if not MIN_RATE_HZ <= sample_rate <= MAX_RATE_HZ:
            raise AudioError(
                f"the stream {self.name!r} can't be heard at {sample_rate} Hz",
                hint=f"sample_rate is in Hz, from {MIN_RATE_HZ} to {MAX_RATE_HZ}",
            )
        if has_missed or self._rate_hz not in {None, sample_rate}:
            self._take(self._ear.gap())
        self._rate_hz = sample_rate
        self._fed_s += len(block) / sample_rate
        self._take(self._ear.push(block, sample_rate))
        return self._emptied()

    def gap(self) -> list[Decision]:
        """Audio is missing here: what comes next does not follow on what came before.

        A segment that was open ends undecided ("audio_lost"): half a sentence accepts nobody.
        """
        self._take(self._ear.gap())
        return self._emptied()

    def finish(self) -> list[Decision]:
        """The end of the audio: decides on what is still open. Safe to call twice."""
        if not self._is_finished:
            self._take(self._ear.finish())
            self._is_finished = True
        return self._emptied()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_finished = True

    def _take(self, heard: Iterable[Heard]) -> None:
        self._has_missed = True
        self._judge = self._look_up_judge()  # before anything is heard that it could not judge
        now_s = self._clock.monotonic_s()
        arrival = Arrival(now_s, now_s - self._fed_s, self._clock.suspended_s())
        for item in heard:
            self._weigh(item, arrival)
        self._has_missed = False

    def _weigh(self, item: Heard, arrival: Arrival) -> None:
        """As ``pipeline.stream`` does, but that it waits for the networks."""
        inferred = self._inference.infer(item, is_decided_on=self._decider.is_decided_on(item))
        boundary = self._decider.take(item, inferred, arrival)
        if boundary is not None:
            after = self._ear.split(item.segment, boundary)
            self._decider.note_change(item.segment, boundary, is_cut=bool(after))
            for each in after:
                self._weigh(each, arrival)

    def _emptied(self) -> list[Decision]:
        decisions = list(self._collected)
        self._collected.clear()
        return decisions


class AsyncPushedStream:
    """The same for a coroutine: inference never blocks the event loop.

    Calls are taken one after the other, in the order in which they were made. A call that is
    cancelled goes on in its thread: the next one waits for it, and brings its decisions as well.
    """

    def __init__(self, stream: PushedStream) -> None:
        self._stream = stream
        self._turn = asyncio.Lock()
        self._left: list[Decision] = []
        """Of calls that were cancelled."""

    @property
    def name(self) -> str:
        """As decisions name it."""
        return self._stream.name

    async def feed(self, samples: NDArray[Any], sample_rate: int) -> list[Decision]:
        """As ``PushedStream.feed``; don't change the array until it returns.

        Args:
            samples: ``(num_samples,)`` or ``(num_samples, channels)``, float or int16.
            sample_rate: In Hz.
        """
        return await self._in_turn(self._stream.feed, samples, sample_rate)

    async def gap(self) -> list[Decision]:
        """As ``PushedStream.gap``."""
        return await self._in_turn(self._stream.gap)

    async def finish(self) -> list[Decision]:
        """As ``PushedStream.finish``."""
        return await self._in_turn(self._stream.finish)

    async def _in_turn(
        self, call: Callable[_P, list[Decision]], *args: _P.args, **kwargs: _P.kwargs
    ) -> list[Decision]:
        await self._turn.acquire()
        running = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
        # Not when nobody waits any more: the thread can't be stopped.
        running.add_done_callback(lambda _: self._turn.release())
        try:
            decisions = await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(self._keep)
            raise
        left, self._left = self._left, []
        return left + decisions

    def _keep(self, done: asyncio.Future[list[Decision]]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._left += done.result()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._stream.__exit__()


class _Collector:
    """Hop 6: the caller's list."""

    def __init__(self, decisions: list[Decision]) -> None:
        self._decisions = decisions

    def publish(self, decision: Decision) -> None:
        self._decisions.append(decision)
