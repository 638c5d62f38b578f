"""One take, judged by itself and then among the others; the embedding that it contributes.

In: recordings. Out: ``TakeReport``s.

Where the limits come from: those that depend on the encoder are in its calibration
(``scoring/limits.py``, fitted by ``voiceguard calibrate``). The others:

- ``MAX_CLIPPED``: none of 1609 recordings has more than 0.14 %; one that was amplified until it
  clipped had 0.2 % at 6 dB and 1.1 % at 10 dB.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median_high
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.enrollment.voices import BreakSearch
from voiceguard.scoring.limits import NO_LIMITS
from voiceguard.speech.gate import SpeechFigures, speech_segments
from voiceguard.speech.recorded import blocks_of
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voiceguard.protocols import Encoder, OverlapDetector, VoiceActivityDetector
    from voiceguard.scoring.limits import EnrollmentLimits
    from voiceguard.speech.gate import GateConfig, SpeechSegment
    from voiceguard.types import Embedding, MonoBlock, Recorded, Samples

MIN_TAKE_SPEECH_S = 0.8
"""Net speech of a take; shorter ones have hardly a voice to go by."""
MIN_SNR_DB = 10.0
MAX_CLIPPED = 0.003
"""Share of a take's samples at full scale."""

PIECE_S = 3.0
"""About the length of the pieces that a take is embedded in; a shorter one is taken whole."""
_MIN_PIECE_S = 0.6
_FULL_SCALE = 0.985


class Problem(StrEnum):
    """What keeps a take from being used. Appears in ``--json``."""

    SILENCE = "silence"
    NOT_SPEECH = "not_speech"
    """Music or noise, and hardly a word."""
    TOO_SHORT = "too_short"
    CLIPPED = "clipped"
    TOO_NOISY = "too_noisy"
    MORE_THAN_ONE_VOICE = "more_than_one_voice"
    DOES_NOT_MATCH = "does_not_match"
    """Not the voice of the other takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeReport:
    """One take, judged."""

    net_speech_s: float
    snr_db: float
    """NaN without speech."""
    clipped_fraction: float
    left_out_s: float = 0.0
    """Music and noise that the gate would have let in."""
    voice_break: float | None
    """How clear the place is where another voice is likeliest to begin; None for a short take, and
    where the encoder has no limit for it."""
    agreement: float | None = None
    """Median cosine to the other takes that are usable by themselves; None for a single one."""
    problems: tuple[Problem, ...]
    embedding: Embedding | None = field(repr=False)
    """L2 norm 1; None where there is too little speech."""

    @property
    def is_usable(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeJudge:
    """The rules by which takes are judged, with what they need; ``Kit.take_judge`` makes one."""

    encoder: Encoder
    """Blocking."""
    make_vad: Callable[[], VoiceActivityDetector]
    """Makes a fresh detector per take; a cascade tells music from speech."""
    gate: GateConfig | None = None
    """Timing of the speech gate."""
    limits: EnrollmentLimits = NO_LIMITS
    """The encoder's."""
    overlap: OverlapDetector | None = None
    """Hears two people who speak at once; None: nobody does."""

    def assess(self, recording: Recorded) -> TakeReport:
        """Judges one take by itself, and embeds it; holds a segment of it at a time.

        Args:
            recording: Mono 16 kHz.
        """
        heard = _Heard(self)
        counted = _Counted(recording)
        vad = self.make_vad()
        for segment in speech_segments(counted, vad, self.gate):
            heard.add(segment)
        speech = heard.figures
        clearest = None if heard.breaks is None else heard.breaks.clearest()
        limit = self.limits.max_voice_break
        is_short = speech.net_speech_s < MIN_TAKE_SPEECH_S or heard.embedding is None
        is_music = is_short and vad.left_out_s >= MIN_TAKE_SPEECH_S
        found = {
            Problem.NOT_SPEECH: is_music,
            Problem.SILENCE: not heard.has_speech and not is_music,
            Problem.TOO_SHORT: heard.has_speech and is_short and not is_music,
            Problem.CLIPPED: counted.clipped_fraction > MAX_CLIPPED,
            Problem.TOO_NOISY: speech.snr_db < MIN_SNR_DB,
            Problem.MORE_THAN_ONE_VOICE: heard.has_overlap
            or (clearest is not None and limit is not None and clearest > limit),
        }
        return TakeReport(
            net_speech_s=speech.net_speech_s,
            snr_db=speech.snr_db,
            clipped_fraction=counted.clipped_fraction,
            left_out_s=vad.left_out_s,
            voice_break=clearest,
            problems=tuple(problem for problem, stands in found.items() if stands),
            embedding=heard.embedding,
        )

    def compare(self, reports: Sequence[TakeReport]) -> tuple[TakeReport, ...]:
        """Judges takes by each other: which ones are the voice that most of them are?

        By the upper median of its cosines to the others, so that one wrong take is told from two
        right ones whatever came first; where no voice has a majority, none is believed.
        """
        alone = [tuple(p for p in r.problems if p is not Problem.DOES_NOT_MATCH) for r in reports]
        compared = []
        for i, report in enumerate(reports):
            agreement = None
            if not alone[i] and report.embedding is not None:
                cosines = [
                    float(report.embedding @ other.embedding)
                    for j, other in enumerate(reports)
                    if j != i and not alone[j] and other.embedding is not None
                ]
                agreement = median_high(cosines) if cosines else None
            problems: tuple[Problem, ...] = alone[i]
            least = self.limits.min_agreement
            if agreement is not None and least is not None and agreement < least:
                problems = (*problems, Problem.DOES_NOT_MATCH)
            compared.append(replace(report, agreement=agreement, problems=problems))
        return tuple(compared)


class _Counted:
    """A recording whose clipped samples are counted as it is read."""

    def __init__(self, recording: Recorded) -> None:
        self._recording = recording
        self._num_samples = 0
        self._num_clipped = 0

    def __iter__(self) -> Iterator[MonoBlock]:
        self._num_samples = self._num_clipped = 0
        for block in blocks_of(self._recording):
            self._num_samples += len(block.samples)
            self._num_clipped += int(np.count_nonzero(np.abs(block.samples) >= _FULL_SCALE))
            yield block

    @property
    def clipped_fraction(self) -> float:
        return self._num_clipped / self._num_samples if self._num_samples else 0.0


class _Heard:
    """What a take's segments say, each embedded when it comes and then let go."""

    def __init__(self, judge: TakeJudge) -> None:
        self.figures = SpeechFigures()
        self.has_speech = False
        self.has_overlap = False
        self._overlap = judge.overlap
        encoder, limit = judge.encoder, judge.limits.max_voice_break
        self.breaks = None if limit is None else BreakSearch(encoder)
        self._encoder = encoder
        self._min_piece_s = max(_MIN_PIECE_S, encoder.info.min_window_s)
        self._lengths: list[int] = []
        self._embeddings: list[Embedding] = []

    def add(self, segment: SpeechSegment) -> None:
        self.has_speech = True
        self.figures.add(segment)
        for piece in _pieces(segment.samples, self._min_piece_s):
            self._lengths.append(len(piece))
            self._embeddings.append(self._encoder.embed(piece))
        if self.breaks is not None:
            self.breaks.add(segment.samples)
        if self._overlap is not None and not self.has_overlap:
            self.has_overlap = self._overlap.hears_two(segment.samples)

    @property
    def embedding(self) -> Embedding | None:
        """Longer pieces count more: their embeddings are less noisy."""
        if not self._embeddings:
            return None
        mean = np.array(self._lengths, dtype=np.float32) @ np.stack(self._embeddings)
        unit: Embedding = (mean / np.linalg.norm(mean)).astype(np.float32)
        return unit


def _pieces(segment: Samples, min_s: float) -> list[Samples]:
    """A segment cut evenly into pieces of about PIECE_S; what is shorter than ``min_s`` is left."""
    num_pieces = max(1, round(len(segment) / (PIECE_S * SAMPLE_RATE_HZ)))
    pieces = np.array_split(segment, num_pieces)
    return [piece for piece in pieces if len(piece) >= min_s * SAMPLE_RATE_HZ]
