"""What the pipeline asks of its adapters. Tests fake these by hand; nothing else is faked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from voiceguard.types import (
        AudioChunk,
        Embedding,
        EncoderInfo,
        Samples,
        SourceEvent,
        SourceStatistics,
        SpeakerScore,
        Window,
    )


class AudioSource(Protocol):
    """Hop 1. A named stream of audio that tells of its own troubles.

    A live source loses the oldest samples when its reader is late, and counts them; any other
    source waits for its reader, so that its decisions never depend on load.
    """

    name: str
    is_live: bool

    def events(self) -> AsyncIterator[SourceEvent]:
        """Yields chunks, and every change of state between the chunks that it separates.

        A source that hears an assistant marks where each turn with it begins and ends.

        A live source recovers by itself from anything that can pass (device unplugged, server
        restarted, rate changed) and never ends. Others end after ``SourceState.ENDED``.

        Raises:
            DeviceError: The device cannot be opened for a reason that waiting won't mend.
            AudioError: The file is not readable as audio.
        """
        ...

    async def close(self) -> None:
        """Frees the device or file within 0.5 s; the iterator ends. Safe to call twice."""
        ...

    def statistics(self) -> SourceStatistics:
        """Counters since the source was opened."""
        ...


class StreamWatcher(Protocol):
    """Follows a stream while it listens, for display. On the event loop; never waits."""

    def heard(self, stream: str, chunk: AudioChunk, *, is_speech: bool) -> None:
        """A block of audio has been heard; ``is_speech``: the gate is open."""
        ...

    @property
    def wants_progress(self) -> bool:
        """Whether ``scored`` is worth computing scores for."""
        ...

    def scored(self, stream: str, window: Window, scores: Sequence[SpeakerScore]) -> None:
        """A segment has grown by a window, and these are its scores by now, best first."""
        ...


class VoiceActivityDetector(Protocol):
    """Hop 2's ear: gives every 10 ms frame a score; the gate applies hysteresis and timing."""

    enter_score: float
    """Scores at or above it start speech."""
    exit_score: float
    """Scores below it, for as long as the hangover, end speech."""

    @property
    def left_out_s(self) -> float:
        """What sounded like speech at first and was found to be something else.

        0: nothing was, or it does not look twice.
        """
        ...

    def push(self, samples: Samples) -> list[float]:
        """Scores every frame of FRAME_SAMPLES that is complete by now.

        Args:
            samples: ``(num_samples,)`` mono 16 kHz, finite; any number of samples.

        Returns:
            One score per frame, oldest first; those that more audio decides about come later.
            However the input is cut into calls, the concatenated scores are the same.
        """
        ...

    def finish(self) -> list[float]:
        """The audio ends here: scores of the complete frames that ``push`` has not given yet."""
        ...

    def reset(self) -> None:
        """Forgets the audio so far (after a gap), not what was learnt of the room's noise."""
        ...

    def take_clear(self, first: int, end: int, /) -> int | None:
        """How many of these frames are speech beyond doubt; forgets them and all before them.

        Args:
            first: Counted from the beginning or the last ``reset``.
            end: One past the last.

        Returns:
            None: it can't tell speech from other sounds so well.
        """
        ...


class Encoder(Protocol):
    """Hop 3. Turns audio into embeddings. Blocking; called only on the inference executor."""

    info: EncoderInfo

    def embed(self, samples: Samples) -> Embedding:
        """Embeds a whole recording as it is.

        Args:
            samples: ``(num_samples,)`` mono 16 kHz float32, at least ``info.min_window_s`` long.

        Returns:
            ``(embedding_dim,)`` float32, L2 norm 1.

        Raises:
            AudioError: Too short, or not finite.
        """
        ...

    def open_stream(self) -> EncoderStream:
        """A stateful view for one stream's windows, which shares the weights."""
        ...


class OverlapDetector(Protocol):
    """Beside hop 3. Hears whether several voices speak at once. Blocking, as the encoder."""

    def hears_two(self, samples: Samples) -> bool:
        """Whether there is more than one voice in a stretch of speech.

        Args:
            samples: ``(num_samples,)`` mono 16 kHz float32, at any level; what is too short to
                tell has one.
        """
        ...


class EncoderStream(Protocol):
    """Embeds overlapping windows without computing their shared features again."""

    def embed(self, window: Window) -> Embedding:
        """Equals ``Encoder.embed(window.samples)`` to float32 rounding.

        Frames of an earlier window are reused where ``window.segment`` is the same.
        """
        ...
