"""Enrolls every speaker and plays everybody's other speech to the daemon: the material of trials.

In: a corpus and a plan. Out: voiceprints, and tests that can be put to every voiceprint of the same
corpus. Trials never cross corpora: another channel would give the stranger away.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.enrollment import Takes
from voiceguard.errors import EnrollmentError, UsageError
from voiceguard.lab.corpora.conditions import CLEAN
from voiceguard.lab.corpora.corpus import HALVES
from voiceguard.lab.evaluation.daemon.playback import hear
from voiceguard.lab.evaluation.daemon.speaker_changes import Probes, successive_cosines
from voiceguard.lab.evaluation.pieces import pieces_of
from voiceguard.lab.evaluation.plan import FULL
from voiceguard.lab.evaluation.utterances import each_speaker, left_to_test, takes_of
from voiceguard.lab.progress import untracked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.lab.corpora.clips import Clip
    from voiceguard.lab.corpora.conditions import Condition
    from voiceguard.lab.corpora.corpus import Corpus, Recording, Skip
    from voiceguard.lab.evaluation.daemon.playback import HeardSegment
    from voiceguard.lab.evaluation.pieces import Piece
    from voiceguard.lab.evaluation.plan import Plan
    from voiceguard.lab.evaluation.utterances import SpokenSessions, Utterance
    from voiceguard.lab.progress import Track
    from voiceguard.service.kit import Kit
    from voiceguard.types import Voiceprint

_MIN_INSIDE = 0.5
"""Share of a segment that lies within the utterance that was played."""

MAX_KEPT_BYTES = 2**28
"""Of speech that a change of speaker may cut: 500 clips of 8 s."""

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


class _Played(NamedTuple):
    """What a session's speaker says, and how it arrives."""

    about: Recording
    piece: Piece
    condition: Condition

    def tests(
        self, kit: Kit, change_cosine: float | None, probes: Probes | None = None
    ) -> list[Test]:
        """What the daemon hears of it, at least one: nothing."""
        clip, length = self.piece.heard(self.condition), self.piece.length
        segments = hear(kit, clip.samples, change_cosine=change_cosine, probes=probes)
        heard = in_the_clip(segments, clip, whole=length == FULL)
        return [
            Test(about=self.about, length=length, noise=self.condition.name, heard=segment)
            for segment in heard or (None,)
        ]


@dataclass(slots=True, kw_only=True)
class Listener:
    """Enrolls and tests speakers as they come, by the product's own enrollment and pipeline."""

    kit: Kit
    """Encoder, gate, windows, enrollment and what hears overlap; its cohort, calibration and policy
    play no part."""
    plan: Plan
    change_cosine: float | None
    """As in a calibration: where a change of speaker ends a segment."""
    skips: list[Skip] = field(default_factory=list)
    _enrolled: list[Enrolled] = field(default_factory=list)
    _tests: list[list[Test]] = field(default_factory=list)
    """Of each clip."""

    def take(self, spoken: SpokenSessions) -> list[Utterance]:
        """Enrolls a speaker, and plays everything that was not enrolled from.

        Returns:
            What was enrolled from.
        """
        self.skips += spoken.skips
        takes = takes_of(spoken.sessions, self.plan.num_enroll)
        enrolled = self.enroll(takes) if takes else None
        if enrolled is None:
            takes = []
        else:
            self._enrolled.append(enrolled)
        for session in left_to_test(spoken.sessions, takes):
            for number, piece in enumerate(pieces_of(session, self.plan, as_recorded=True)):
                for condition in self.plan.heard_by_daemon:
                    if not self.plan.is_left_out(piece.length, condition.name, number):
                        played = _Played(session[0].recording, piece, condition)
                        self._tests.append(self._hear(played))
        return takes

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
            enrolled=tuple(self._enrolled),
            tests=tuple(test for tests in self._tests for test in tests),
            skips=tuple(self.skips),
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

    def _hear(self, played: _Played) -> list[Test]:
        return played.tests(self.kit, self.change_cosine)


@dataclass(slots=True, kw_only=True)
class Hindsight(Listener):
    """Hears before it is known where a change of speaker is called, and learns what tells that.

    A change only matters to clips with probes less alike than the threshold: a few in a hundred.
    They are kept, least alike first, and heard once more in the end.
    """

    change_cosine: float | None = None
    same_voice: list[float] = field(default_factory=list)
    """Cosines between successive probes of utterances as spoken."""
    max_kept_bytes: int = MAX_KEPT_BYTES
    """Of kept clips' speech."""
    _kept: list[tuple[float, int, _Played]] = field(default_factory=list)
    """A heap by the lowest cosine, negated, and where the clip's tests are."""
    _kept_bytes: int = 0
    _least_forgotten: float = math.inf
    """The lowest cosine of those that there was no room for."""

    def take(self, spoken: SpokenSessions) -> list[Utterance]:
        """See ``Listener.take``; of a plan that tests whole utterances."""
        takes = Listener.take(self, spoken)
        self.same_voice += successive_cosines(self.kit, takes, seed=self.plan.seed)
        return takes

    def settled(self, change_cosine: float | None) -> bool:
        """Hears again what that threshold changes; False where the speech was not kept."""
        if change_cosine is None:
            return True
        if change_cosine > self._least_forgotten:
            return False
        for lowest, number, played in self._kept:
            if -lowest < change_cosine:
                self._tests[number] = played.tests(self.kit, change_cosine)
        return True

    def _hear(self, played: _Played) -> list[Test]:
        probes = Probes()
        tests = played.tests(self.kit, None, probes)
        successive, lowest = probes.compared()
        if played.piece.length == FULL and played.condition.name == CLEAN:
            self.same_voice += successive
        if lowest < math.inf:
            self._keep(lowest, played)
        return tests

    def _keep(self, lowest: float, played: _Played) -> None:
        heapq.heappush(self._kept, (-lowest, len(self._tests), played))
        self._kept_bytes += played.piece.clip.samples.nbytes
        while self._kept_bytes > self.max_kept_bytes:
            most_alike, _, forgotten = heapq.heappop(self._kept)
            self._kept_bytes -= forgotten.piece.clip.samples.nbytes
            self._least_forgotten = min(self._least_forgotten, -most_alike)


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
