"""How unlike successive stretches of one voice are, and of two: where a change is called.

In: speakers' utterances. Out: cosines between successive probes, as the daemon cuts and compares
them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from voiceguard.lab.corpora.clips import in_a_room, join, seeded
from voiceguard.lab.corpora.lazy_embedding import lazy_stream
from voiceguard.lab.progress import untracked
from voiceguard.pipeline.segments import SegmentEvidence
from voiceguard.types import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.corpora.clips import Clip, Speech
    from voiceguard.lab.corpora.corpus import Recording
    from voiceguard.lab.evaluation.utterances import Utterance
    from voiceguard.lab.progress import Track
    from voiceguard.protocols import EncoderStream
    from voiceguard.service.kit import Kit
    from voiceguard.types import Embedding


TURN_S = 4.0
"""Net speech of each of two people who take turns, or share a take; a take of one person has twice
as much."""
MAX_TAKES = 2
_KEPT_S = MAX_TAKES * 2 * TURN_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Continuous:
    """The beginning of a speaker's longest session."""

    about: Recording
    speech: Speech

    @classmethod
    def of(cls, about: Recording, speech: Speech) -> Self:
        """Keeps no more of it than is compared."""
        kept = speech.between(0, min(speech.net_s, _KEPT_S))
        # Copied: a part of an array holds all of it.
        return cls(about=about, speech=replace(kept, samples=kept.samples.copy()))

    @property
    def has_turn(self) -> bool:
        """Whether it is long enough to take turns."""
        return self.speech.net_s >= TURN_S

    @property
    def turn(self) -> Speech:
        """What they say in one."""
        return self.speech.between(0, TURN_S)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoiceChanges:
    """What successive probes say."""

    same_voice: NDArray[np.float64]
    """``(num_pairs,)`` cosines between successive probes within one utterance."""
    lowest_at_change: NDArray[np.float64]
    """``(num_changes,)``: the lowest such cosine in each turn from one speaker to another."""

    def caught(self, change_cosine: float) -> float:
        """Share of real changes that are noticed."""
        return float(np.mean(self.lowest_at_change < change_cosine))


class Compared(NamedTuple):
    """What the probes of a clip say."""

    successive: list[float]
    """Cosines between each probe and the one before it in the same segment."""
    lowest: float
    """Of all that the daemon looks at: below it no change of speaker is called."""


class Probes:
    """The probes of a clip, to be compared afterwards as the daemon compares them."""

    def __init__(self) -> None:
        self._heard: list[tuple[Window, Embedding]] = []

    def of(self, encoder: EncoderStream) -> EncoderStream:
        """A stream like this one, of whose probes a note is taken."""
        return _Noting(encoder, self._heard)

    def compared(self) -> Compared:
        """Those of each segment among themselves."""
        evidence: SegmentEvidence | None = None
        successive: list[float] = []
        lowest = math.inf
        for window, embedding in self._heard:
            if evidence is None or evidence.segment != window.segment:
                evidence = SegmentEvidence(window.segment, max_window_samples=0)
            evidence.add(window, embedding)
            if cosines := evidence.latest_cosines():
                successive.append(cosines[0])
                lowest = min(lowest, *cosines)
        return Compared(successive, lowest)


class _Noting:
    def __init__(self, encoder: EncoderStream, heard: list[tuple[Window, Embedding]]) -> None:
        self._encoder = encoder
        self._heard = heard

    def embed(self, window: Window) -> Embedding:
        embedding = self._encoder.embed(window)
        if window.is_probe:
            self._heard.append((window, embedding))
        return embedding


def successive_cosines(kit: Kit, utterances: Iterable[Utterance], *, seed: int = 0) -> list[float]:
    """Between successive probes within each utterance, as spoken.

    A joint between two utterances is not what a breath is. In the same room tone as in an
    experiment.

    Args:
        kit: Encoder, gate and windows.
        utterances: As recorded.
        seed: Of the room tone.
    """
    return [
        cosine
        for each in utterances
        for about in [each.recording]
        for cosine in _successive_cosines(
            kit,
            in_a_room(
                each.samples,
                each.speech.quiet_rms,
                seeded(seed, about.speaker, about.session, about.path.name),
            ),
        )
    ]


def measure_changes(
    kit: Kit,
    longest: Sequence[Continuous],
    same_voice: Sequence[float],
    *,
    seed: int = 0,
    track: Track = untracked,
) -> VoiceChanges:
    """Plays pairs of speakers in turn.

    Each speaker is followed by the next two of the same corpus, in a shuffled circle.

    Args:
        kit: Encoder, gate and windows.
        longest: What everybody has to say, by the speaker's name.
        same_voice: Of everybody, from ``successive_cosines``.
        seed: Of the circle.
        track: Shows progress.
    """
    turns: dict[str, list[Speech]] = {}
    for each in longest:
        if each.has_turn:
            turns.setdefault(each.about.corpus, []).append(each.turn)
    lowest = [
        min(cosines)
        for name in track(sorted(turns), "two voices")
        for first, second in _circle(turns[name], seeded(seed, name))
        if (cosines := _turn(kit, first, second, seed))
    ]
    return VoiceChanges(same_voice=np.array(same_voice), lowest_at_change=np.array(lowest))


def _circle(speeches: Sequence[Speech], rng: np.random.Generator) -> list[tuple[Speech, Speech]]:
    order = rng.permutation(len(speeches))
    steps = range(1, min(3, len(order)))
    return [
        (speeches[order[i]], speeches[order[(i + step) % len(order)]])
        for step in steps
        for i in range(len(order))
    ]


def _turn(kit: Kit, first: Speech, second: Speech, seed: int) -> list[float]:
    both = join([first, second])
    rng = seeded(seed, len(both.samples))
    return _successive_cosines(kit, in_a_room(both.samples, both.quiet_rms, rng))


def _successive_cosines(kit: Kit, clip: Clip) -> list[float]:
    """Between each probe and the one before it in the same segment."""
    probes = Probes()
    encoder = probes.of(lazy_stream(kit.encoder))
    for item in kit.make_ear().hear(clip.samples):
        if isinstance(item, Window) and item.is_probe:
            encoder.embed(item)
    return probes.compared().successive
