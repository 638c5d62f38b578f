"""Enrolls every speaker and plays everybody's other speech to the daemon: the material of trials.

In: a corpus and a plan. Out: voiceprints, and tests that can be put to every voiceprint of the same
corpus. Trials never cross corpora: another channel would give the stranger away.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.enrollment import Takes
from voiceguard.errors import EnrollmentError, UsageError
from voiceguard.lab.corpora.corpus import HALVES
from voiceguard.lab.evaluation.daemon.playback import hear
from voiceguard.lab.evaluation.pieces import pieces_of
from voiceguard.lab.evaluation.plan import FULL
from voiceguard.lab.evaluation.utterances import each_speaker, left_to_test, takes_of
from voiceguard.lab.progress import untracked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voiceguard.lab.corpora.clips import Clip
    from voiceguard.lab.corpora.corpus import Corpus, Recording, Skip
    from voiceguard.lab.evaluation.daemon.playback import HeardSegment
    from voiceguard.lab.evaluation.plan import Plan
    from voiceguard.lab.evaluation.utterances import SpokenSessions, Utterance
    from voiceguard.lab.progress import Track
    from voiceguard.service.kit import Kit
    from voiceguard.types import Voiceprint

_MIN_INSIDE = 0.5
"""Share of a segment that lies within the utterance that was played."""

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Voiceprints made here are never kept."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enrolled:
    """A voiceprint, and who it is."""

    about: Recording
    """One of those that it was made from."""
    voiceprint: Voiceprint


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Test:
    """A stretch of speech as the daemon heard it."""

    __test__ = False  # pytest: not a test of ours

    about: Recording
    """One of its session."""
    length: str
    """``1 s`` to ``5 s`` of net speech, or ``full``: an utterance as spoken."""
    noise: str
    """``clean``, or the name of what happened to it."""
    heard: HeardSegment | None
    """None: the gate heard no speech."""

    @property
    def condition(self) -> str:
        """``3 s clean``."""
        return f"{self.length} {self.noise}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """Everything heard, once; trials are combinations of voiceprints and tests."""

    enrolled: tuple[Enrolled, ...]
    tests: tuple[Test, ...]
    skips: tuple[Skip, ...]

    def in_one_half(self) -> Experiment:
        """For a calibration that has seen nobody here: everybody meets everybody."""
        return replace(
            self,
            enrolled=tuple(replace(e, about=_in_first_half(e.about)) for e in self.enrolled),
            tests=tuple(replace(t, about=_in_first_half(t.about)) for t in self.tests),
        )


def _in_first_half(about: Recording) -> Recording:
    return replace(about, half=HALVES[0])


@dataclass(slots=True, kw_only=True)
class Listener:
    """Enrolls and tests speakers as they come, by the product's own enrollment and pipeline."""

    kit: Kit
    """Encoder, gate, windows and enrollment; its cohort, calibration and policy play no part."""
    plan: Plan
    change_cosine: float | None
    """As in a calibration: where a change of speaker ends a segment."""
    skips: list[Skip] = field(default_factory=list)
    _enrolled: list[Enrolled] = field(default_factory=list)
    _tests: list[Test] = field(default_factory=list)

    def take(self, spoken: SpokenSessions) -> None:
        """Enrolls a speaker, and plays everything that was not enrolled from."""
        self.skips += spoken.skips
        takes = takes_of(spoken.sessions, self.plan.num_enroll)
        enrolled = self.enroll(takes) if takes else None
        if enrolled is not None:
            self._enrolled.append(enrolled)
        for session in left_to_test(spoken.sessions, takes if enrolled else ()):
            self._tests += self._played(session)

    def finish(self) -> Experiment:
        """Everything that was heard.

        Raises:
            UsageError: Fewer than two speakers could be enrolled.
        """
        if len(self._enrolled) < 2:
            raise UsageError(
                f"{len(self._enrolled)} speakers could be enrolled, where 2 are needed",
                hint=f"each needs a session of more than {self.plan.num_enroll} utterances that "
                "are long enough to enroll from",
            )
        return Experiment(
            enrolled=tuple(self._enrolled), tests=tuple(self._tests), skips=tuple(self.skips)
        )

    def enroll(self, utterances: Sequence[Utterance]) -> Enrolled | None:
        """As ``voiceguard enroll --from`` does; None where that refuses."""
        about, takes = utterances[0].recording, Takes(self.kit.take_judge)
        for each in utterances:
            takes.add(each.samples, recorded_at=_LONG_AGO)
        try:
            voiceprint = takes.voiceprint(about.speaker, consent_at=_LONG_AGO, now=_LONG_AGO)
        except EnrollmentError:
            return None
        return Enrolled(about=about, voiceprint=voiceprint)

    def _played(self, session: Sequence[Utterance]) -> Iterator[Test]:
        for number, piece in enumerate(pieces_of(session, self.plan, as_recorded=True)):
            for condition in self.plan.heard_by_daemon:
                if self.plan.is_left_out(piece.length, condition.name, number):
                    continue
                clip = piece.heard(condition)
                segments = hear(self.kit, clip.samples, change_cosine=self.change_cosine)
                heard = in_the_clip(segments, clip, whole=piece.length == FULL)
                for segment in heard or (None,):
                    yield Test(
                        about=session[0].recording,
                        length=piece.length,
                        noise=condition.name,
                        heard=segment,
                    )


def run_experiment(
    kit: Kit,
    corpus: Corpus,
    plan: Plan,
    *,
    change_cosine: float | None,
    track: Track = untracked,
) -> Experiment:
    """Enrolls and tests every speaker of a corpus, see ``Listener``.

    Raises:
        UsageError: Fewer than two speakers could be enrolled.
    """
    listener = Listener(kit=kit, plan=plan, change_cosine=change_cosine, skips=list(corpus.skips))
    for spoken in each_speaker(kit, corpus, seed=plan.seed, track=track, description="listening"):
        listener.take(spoken)
    return listener.finish()


def in_the_clip(segments: Sequence[HeardSegment], clip: Clip, *, whole: bool) -> list[HeardSegment]:
    """The segments that are the speaker's.

    Of a whole utterance, those that lie mostly within it: the others are noise that the gate let
    in. A crop is one trial: the segment that holds most of it.
    """
    inside = [segment.overlap_s(clip.start_s, clip.end_s) for segment in segments]
    if not whole:
        return [segments[int(np.argmax(inside))]] if any(inside) else []
    return [
        segment
        for segment, inside_s in zip(segments, inside, strict=True)
        if inside_s >= _MIN_INSIDE * (segment.end_s - segment.start_s)
    ]
