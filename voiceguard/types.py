"""The words that every other module speaks: audio, windows, scores, decisions, voiceprints.

Plain frozen values without behaviour, clock or I/O. Sample positions called ``first_sample`` or
``end_sample`` count 16 kHz samples since the stream was opened, lost ones included, unless a
docstring says that they are the device's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

VERSION = "0.1.0"
"""This release's; pyproject.toml reads it here."""

RELEASED_AT = "2026-11-26T00:00:00+00:00"
"""When this release was made, or a little before: a clock that shows less was never set."""

SAMPLE_RATE_HZ = 16_000
"""The rate of everything behind the resampler."""

FRAME_SAMPLES = 160
"""The 10 ms grid on which speech activity is judged, windows are cut and features are computed."""

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ

Samples: TypeAlias = NDArray[np.float32]
"""Audio, float32, full scale 1.0; mono is ``(num_samples,)``, else ``(num_samples, channels)``."""

Channel: TypeAlias = Literal["downmix"] | int
"""Of several channels: ``"downmix"`` averages all; a number picks one, from 0."""

Embedding: TypeAlias = NDArray[np.float32]
"""An encoder's output, ``(embedding_dim,)`` float32, L2 norm 1."""


# --- hop 1: audio as a source delivers it ---------------------------------------------------


class SourceState(StrEnum):
    """What a source can say about itself. Everything but LISTENING and ENDED is *unavailable*."""

    STARTING = "starting"
    LISTENING = "listening"
    STALLED = "stalled"
    """The device is open and delivers nothing."""
    MUTED = "muted"
    """Exact zeros for longer than a live room can be."""
    LOST = "lost"
    """The device, or the audio server behind it, is gone; being re-opened."""
    ENDED = "ended"
    """A file or standard input is read to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """A change in a source's state; arrives in order between the chunks it separates."""

    state: SourceState
    detail: str = ""
    """For people: what was seen and what is being done about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioChunk:
    """Consecutive samples as the device or file has them, before channel choice and resampling."""

    samples: Samples
    """``(num_samples, num_channels)``, always two-dimensional."""
    rate_hz: int
    first_sample: int
    """Position at the device's own rate since the source was opened; samples lost are counted."""
    delivered_at_s: float
    """Monotonic clock when the last sample of the chunk reached this process."""
    after_gap: bool = False
    """Samples between the previous chunk and this one were lost: nothing may span the joint."""


class MonoBlock(NamedTuple):
    """The next part of a recording."""

    samples: Samples
    """``(num_samples,)`` mono 16 kHz."""
    after_gap: bool = False
    """Audio is missing just before it: nothing may span the joint."""


Recorded: TypeAlias = "Samples | Iterable[MonoBlock]"
"""A recording: all of it, mono 16 kHz; or what gives it block by block, as often as asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatistics:
    """A source's counters since it was opened, in samples of the device or file.

    ``captured == delivered + lost + buffered`` at every moment. What never reached this process is
    counted apart: ``samples_missed`` and ``outage_s``.
    """

    samples_captured: int = 0
    samples_delivered: int = 0
    samples_lost: int = 0
    """Captured, and overwritten before they were read."""
    samples_buffered: int = 0
    samples_missed: int = 0
    """Never captured, estimated by the clock: the driver overran, or the device was away."""
    num_overflows: int = 0
    """How often the driver said that it overran."""
    overflow_s: float = 0.0
    """What that cost, estimated by the clock."""
    num_reopened: int = 0
    """How often the device was opened again, because it was away or delivered nothing."""
    outage_s: float = 0.0
    """How long it was away or delivered nothing in all, the present outage included."""

    def __add__(self, other: SourceStatistics) -> SourceStatistics:
        return SourceStatistics(
            **{
                each.name: getattr(self, each.name) + getattr(other, each.name)
                for each in fields(self)
            }
        )


@dataclass(frozen=True, slots=True)
class TurnStart:
    """What comes next is one turn with an assistant, until its ``TurnEnd``."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """A turn is over, and with it the segment that may be open: nothing joins on."""

    turn_id: str


SourceEvent: TypeAlias = "AudioChunk | SourceStatus | TurnStart | TurnEnd"
"""What a source yields."""


# --- hop 2: speech, cut into windows --------------------------------------------------------


class EndCause(StrEnum):
    """Why a segment of speech ended."""

    SILENCE = "silence"
    MAX_LENGTH = "max_length"
    SPEAKER_CHANGE = "speaker_change"
    GAP = "gap"
    """Audio was lost, or its source went away, in mid-speech."""
    END_OF_STREAM = "end_of_stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechAudio:
    """What the gate lets through: whole frames that follow on the last ones, or begin a segment.

    Pre-roll and the pauses inside a segment come too, marked as no speech.
    """

    first_sample: int
    """A multiple of FRAME_SAMPLES."""
    samples: Samples
    """``(num_frames * FRAME_SAMPLES,)`` mono 16 kHz."""
    is_speech: tuple[bool, ...]
    """Per frame."""
    powers: tuple[float, ...]
    """Per frame: mean square within the speech band, full scale 1."""
    noise_powers: tuple[float, ...]
    """Per frame: the noise estimated under it, likewise."""


@dataclass(frozen=True, slots=True)
class SpeechEnd:
    """The gate closes, or cuts: the next SpeechAudio begins another segment."""

    cause: EndCause
    clear_share: float | None = None
    """How much of the speech a speech model was sure of, in [0, 1]; None: none listened."""


GateEvent: TypeAlias = SpeechAudio | SpeechEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of continuous audio inside one segment, ready to be embedded."""

    segment: int
    """The segment's number within its stream, from 0."""
    first_sample: int
    """A multiple of FRAME_SAMPLES, so that windows of a segment share one feature grid."""
    samples: Samples
    """``(num_samples,)`` mono 16 kHz, a whole number of frames."""
    net_speech_s: float
    """Speech inside this window, pauses not counted."""
    segment_speech_s: float
    """Speech in the segment up to this window's end."""
    snr_db: float
    """Speech level over noise floor inside this window, as estimated while it was spoken."""
    is_probe: bool = False
    """Cut only to notice a change of speaker; never scored against voiceprints."""

    @property
    def end_sample(self) -> int:
        """One past the last sample."""
        return self.first_sample + len(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEnd:
    """One stretch of speech is over; follows its last window."""

    segment: int
    first_sample: int
    end_sample: int
    """End of the last speech frame, hangover not included."""
    net_speech_s: float
    snr_db: float
    cause: EndCause
    clear_share: float | None = None
    """As in SpeechEnd; of what was split, the last part has that of all, the others None."""
    samples: Samples | None = field(default=None, repr=False, compare=False)
    """The segment's audio as the encoder hears it, ``(num_samples,)`` mono 16 kHz, up to its last
    speech frame; of a longer one the latest 20 s. None where nobody listens to all of it."""


# --- hop 4 and 5: scores and decisions ------------------------------------------------------


class Outcome(StrEnum):
    """What a decision says."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    """Verification: not the claimed speaker. Or recognised, and not allowed by people's rules."""
    UNKNOWN = "unknown"
    """Identification: clearly none of the enrolled speakers."""
    INCONCLUSIVE = "inconclusive"


class Reason(StrEnum):
    """Why an outcome is what it is. Published: names are never reused for another meaning."""

    ABOVE_THRESHOLD = "above_threshold"
    BELOW_THRESHOLD = "below_threshold"
    BETWEEN_THRESHOLDS = "between_thresholds"
    """Not enough evidence for an accept at this p_fa, nor against the speaker at this p_miss."""
    TOO_SHORT = "too_short"
    TOO_NOISY = "too_noisy"
    RUNNER_UP_TOO_CLOSE = "runner_up_too_close"
    MORE_THAN_ONE_VOICE = "more_than_one_voice"
    NO_VOICEPRINTS = "no_voiceprints"
    UNCALIBRATED = "uncalibrated"
    AUDIO_LOST = "audio_lost"
    OVERLOADED = "overloaded"
    INFERENCE_FAILED = "inference_failed"
    NOT_ALLOWED = "not_allowed"
    """Recognised; but a rule says: not them, not here, not now, or not for this."""
    HARDLY_SPEECH = "hardly_speech"
    """Nobody's voice, but the speech model was sure of little of it: noise, perhaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerScore:
    """One trial: the test utterance against one voiceprint."""

    speaker: str
    cosine: float
    """Raw score, in [-1, 1]."""
    normalised: float
    """After adaptive s-norm, in cohort standard deviations; the cosine where there is no cohort."""
    llr: float | None
    """Calibrated log-likelihood ratio, natural logarithm; None without a calibration."""
    display_name: str = ""
    """The speaker's, for people; empty: none but the id."""

    @property
    def name(self) -> str:
        """The speaker's, as people read it."""
        return self.display_name or self.speaker


# --- what is stored about a speaker ---------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderInfo:
    """Which encoder made an embedding; embeddings of two different ids are never compared."""

    encoder_id: str
    """Hash of the weights and of the features' version, 16 hexadecimal digits."""
    name: str
    embedding_dim: int
    num_parameters: int
    min_window_s: float
    """Shortest audio that it accepts."""
    runtime: str = ""
    """What computes it here: torch, onnx, openvino; the embeddings are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One enrollment take: one room, microphone or voice condition."""

    embedding: Embedding
    net_speech_s: float
    snr_db: float
    created_at: datetime
    label: str = ""
    """Where and with what it was recorded, in the speaker's words ("kitchen", "a cold")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voiceprint:
    """An enrolled speaker."""

    speaker: str
    """``[a-z0-9_][a-z0-9_-]{0,31}``: goes into topics and file names."""
    display_name: str
    encoder_id: str
    templates: tuple[Template, ...] = field(repr=False)
    consent_at: datetime
    created_at: datetime
    updated_at: datetime
