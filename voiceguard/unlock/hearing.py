"""What was said, for digits: the last seconds of every stream, and a speech-to-text to read them.

Event loop. Audio is kept in memory for as long as a challenge may need it and never longer; it goes
to the speech-to-text of the settings when the right voice has answered a challenge.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk as WyomingChunk
from wyoming.audio import AudioStart, AudioStop

from voiceguard.errors import AudioError
from voiceguard.speech.mixing import to_mono
from voiceguard.speech.resampling import StreamResampler
from voiceguard.types import SAMPLE_RATE_HZ
from voiceguard.wyoming.events import encoded
from voiceguard.wyoming.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wyoming.event import Event

    from voiceguard.protocols import StreamWatcher
    from voiceguard.types import AudioChunk, Channel, Samples, SpeakerScore, Window
    from voiceguard.unlock.challenge import Language
    from voiceguard.wyoming.config import Address

KEPT_S = 20.0
"""The longest segment, and the time until it is decided."""
ANSWER_TIMEOUT_S = 8.0
_CHUNK_SAMPLES = 1600


class Hearing:
    """Keeps what streams hear; a watcher of streams that passes everything on to another.

    Args:
        address: The speech-to-text.
        language: That is spoken.
        channel: Which one of a microphone's.
    """

    def __init__(self, address: Address, language: Language, channel: Channel) -> None:
        self._address = address
        self._language = language
        self._channel = channel
        self._kept: dict[str, deque[AudioChunk]] = {}
        self._next: StreamWatcher | None = None

    def before(self, watcher: StreamWatcher) -> Hearing:
        """The same, with the watcher that comes after it."""
        self._next = watcher
        return self

    def heard(self, stream: str, chunk: AudioChunk, *, is_speech: bool) -> None:
        """A block of audio; what is older than needed goes."""
        kept = self._kept.setdefault(stream, deque())
        if kept and (chunk.rate_hz != kept[-1].rate_hz or chunk.first_sample < _end(kept[-1])):
            kept.clear()  # opened anew
        kept.append(chunk)
        while _end(kept[-1]) - kept[0].first_sample > KEPT_S * chunk.rate_hz:
            kept.popleft()
        if self._next is not None:
            self._next.heard(stream, chunk, is_speech=is_speech)

    def forget(self) -> None:
        """The streams are closed: nothing that they heard is kept."""
        self._kept.clear()

    @property
    def wants_progress(self) -> bool:
        """As the next one."""
        return self._next is not None and self._next.wants_progress

    def scored(self, stream: str, window: Window, scores: Sequence[SpeakerScore]) -> None:
        """For the next one."""
        if self._next is not None:
            self._next.scored(stream, window, scores)

    def cut(self, stream: str, start_s: float, end_s: float) -> Samples:
        """What a stream heard between two moments of its own time.

        Returns:
            ``(num_samples,)`` mono 16 kHz.

        Raises:
            AudioError: It is not there as a whole.
        """
        chunks = list(self._kept.get(stream, ()))
        rate_hz = chunks[0].rate_hz if chunks else SAMPLE_RATE_HZ
        first, end = round(start_s * rate_hz), round(end_s * rate_hz)
        wanted = [each for each in chunks if _end(each) > first and each.first_sample < end]
        parts = [
            each.samples[max(0, first - each.first_sample) : max(0, end - each.first_sample)]
            for each in wanted
        ]
        if sum(len(part) for part in parts) != end - first or end <= first:
            raise AudioError(f"what {stream} heard is not there as a whole any more")
        resampler = StreamResampler(rate_hz)
        mono = to_mono(np.concatenate(parts), self._channel)
        return np.concatenate([resampler.push(mono), resampler.flush()])

    async def text_of(self, stream: str, start_s: float, end_s: float) -> str:
        """What was said there, by the speech-to-text.

        Raises:
            AudioError: The audio is gone; or the speech-to-text is not there, is slow, or answers
                nonsense.
        """
        return await transcribe(self._address, self.cut(stream, start_s, end_s), self._language)


async def transcribe(address: Address, samples: Samples, language: Language) -> str:
    """Asks any speech-to-text that speaks Wyoming.

    Args:
        address: Where it is.
        samples: ``(num_samples,)`` mono 16 kHz in [-1, 1].
        language: Of what was said.

    Raises:
        AudioError: It is not there, is slow, or answers nonsense.
    """
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            upstream = await Upstream.connect(address, set())
            try:
                for event in _events(samples, language):
                    await upstream.send(encoded(event))
                while (received := await upstream.receive()) is not None:
                    if Transcript.is_type(received.event.type):
                        text = received.event.data.get("text")
                        if isinstance(text, str):
                            return text
                raise upstream.gone()
            finally:
                upstream.close()
    except TimeoutError:
        raise AudioError(
            f"the speech-to-text at {address} has not answered for {ANSWER_TIMEOUT_S:g} s"
        ) from None


def _events(samples: Samples, language: Language) -> Iterator[Event]:
    form = {"rate": SAMPLE_RATE_HZ, "width": 2, "channels": 1}
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    yield Transcribe(language=language).event()
    yield AudioStart(**form).event()
    for first in range(0, len(pcm), 2 * _CHUNK_SAMPLES):
        yield WyomingChunk(audio=pcm[first : first + 2 * _CHUNK_SAMPLES], **form).event()
    yield AudioStop().event()


def _end(chunk: AudioChunk) -> int:
    return chunk.first_sample + len(chunk.samples)
