"""Enrolls every speaker and plays everybody's other speech to the daemon: the material of trials.

In: a corpus and a plan. Out: voiceprints, and tests that can be put to every voiceprint of the same
corpus. Trials never cross corpora: another channel would give the stranger away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.audio.files import load_audio
from voiceguard.enrollment import enroll_recordings
from voiceguard.errors import AudioError, EnrollmentError, UsageError
from voiceguard.lab.corpora.clips import in_a_room, join, nested, quiet_rms, seeded, speech_of
from voiceguard.lab.corpora.clips import speech_rms as rms_of
from voiceguard.lab.corpora.conditions import CLEAN, Noisy
from voiceguard.lab.corpora.corpus import HALVES, Skip
from voiceguard.lab.evaluation.daemon.playback import hear
from voiceguard.lab.progress import Track, untracked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from voiceguard.lab.corpora.clips import Clip, Speech
    from voiceguard.lab.corpora.conditions import Condition
    from voiceguard.lab.corpora.corpus import Corpus, Recording
    from voiceguard.lab.evaluation.daemon.playback import HeardSegment
    from voiceguard.service.kit import Kit
    from voiceguard.types import Samples, Voiceprint


LENGTHS_S = (1.0, 2.0, 3.0, 5.0)


FULL = "full"


_MIN_INSIDE = 0.5
"""Share of a segment that lies within the utterance that was played."""


_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Voiceprints made here are never kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """A noise condition under a name of its own: other noises at a level that is tested too."""

    name: str
    snr_db: float
    files: tuple[Path, ...]

    def hear(self, clip: Clip, speech_rms: float, rng: np.random.Generator) -> Clip:
        """As ``Noisy``."""
        return Noisy(self.snr_db, self.files).hear(clip, speech_rms, rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is played to the daemon."""

    num_enroll: int = 3
    """Utterances of one session that a voiceprint is made from."""
    lengths_s: tuple[float, ...] = LENGTHS_S
    """Net speech of the crops; whole utterances as spoken are always played as well."""
    max_places: int = 3
    """In each session, from where crops of every length are taken."""
    noises: tuple[Condition, ...] = ()
    """Ways for the same speech to arrive, beside clean."""
    brief: tuple[str, ...] = ()
    """Those of them for which one length of crops is enough, beside whole utterances."""
    brief_length_s: float = 3.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enrolled:
    """A voiceprint, and who it is."""

    corpus: str
    speaker: str
    half: str
    session: str
    voiceprint: Voiceprint


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Test:
    """A stretch of speech as the daemon heard it."""

    __test__ = False  # pytest: not a test of ours

    corpus: str
    speaker: str
    half: str
    session: str
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
            enrolled=tuple(replace(each, half=HALVES[0]) for each in self.enrolled),
            tests=tuple(replace(each, half=HALVES[0]) for each in self.tests),
        )


def run_experiment(
    kit: Kit,
    corpus: Corpus,
    plan: Plan,
    *,
    change_cosine: float | None,
    track: Track = untracked,
) -> Experiment:
    """Enrolls and tests every speaker.

    Args:
        kit: Encoder, gate, windows; its cohort, calibration and policy play no part.
        corpus: Labelled recordings.
        plan: Lengths, noise, utterances per enrollment.
        change_cosine: As in a calibration: where a change of speaker ends a segment.
        track: Shows progress.

    Raises:
        UsageError: Fewer than two speakers could be enrolled.
    """
    enrolled: list[Enrolled] = []
    tests: list[Test] = []
    skips: list[Skip] = list(corpus.skips)
    speakers = corpus.by_speaker()
    for speaker in track(sorted(speakers), "listening"):
        sessions = load_utterances(kit, speakers[speaker], plan.seed, skips)
        found = _enroll(kit, sessions, plan.num_enroll)
        if found:
            enrolled.append(found[0])
        for session in sessions.values():
            rest = [u for u in session if not found or u.recording.path not in found[1]]
            if rest:
                tests += _tests(kit, rest, plan, change_cosine)
    if len(enrolled) < 2:
        raise UsageError(
            f"{len(enrolled)} speakers could be enrolled, where 2 are needed",
            hint=f"each needs a session of more than {plan.num_enroll} utterances that are long "
            "enough to enroll from",
        )
    return Experiment(enrolled=tuple(enrolled), tests=tuple(tests), skips=tuple(skips))


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """A recording, decoded."""

    recording: Recording
    samples: Samples
    speech: Speech


def load_utterances(
    kit: Kit, recordings: Iterable[Recording], seed: int, skips: list[Skip]
) -> dict[str, list[Utterance]]:
    """One speaker's recordings by session; what is unreadable or silent is named in ``skips``."""
    sessions: dict[str, list[Utterance]] = {}
    for recording in recordings:
        try:
            samples = load_audio(recording.path, kit.settings.audio.channel)
        except AudioError as error:
            skips.append(Skip(recording.path, str(error)))
            continue
        rng = seeded(seed, recording.speaker, recording.path.name)
        speech = speech_of(samples, kit.make_gate(), rng)
        if speech.net_s:
            utterance = Utterance(recording, samples, speech)
            sessions.setdefault(recording.session, []).append(utterance)
        else:
            skips.append(Skip(recording.path, "no speech in it"))
    return sessions


def takes_of(sessions: dict[str, list[Utterance]], num_enroll: int) -> list[Utterance]:
    """What a speaker is enrolled from: the longest utterances of the session with most speech.

    The longest, as prompts are long sentences. The session keeps one utterance at least for
    testing; empty where there is no such session.
    """
    large = [session for session in sessions.values() if len(session) > num_enroll]
    if not large:
        return []
    session = max(large, key=lambda session: sum(each.speech.net_s for each in session))
    return sorted(session, key=lambda each: (-each.speech.net_s, each.recording.path))[:num_enroll]


def _enroll(
    kit: Kit, sessions: dict[str, list[Utterance]], num_enroll: int
) -> tuple[Enrolled, set[Path]] | None:
    """Enrolls as ``voiceguard enroll --from`` does.

    None: there is no session to enroll from, or enrollment refuses.
    """
    takes = takes_of(sessions, num_enroll)
    if not takes:
        return None
    about = takes[0].recording
    try:
        voiceprint = enroll_recordings(
            [take.samples for take in takes],
            kit.take_judge,
            speaker=about.speaker,
            consent_at=_LONG_AGO,
            now=_LONG_AGO,
        )
    except EnrollmentError:
        return None
    enrolled = Enrolled(
        corpus=about.corpus,
        speaker=about.speaker,
        half=about.half,
        session=about.session,
        voiceprint=voiceprint,
    )
    return enrolled, {take.recording.path for take in takes}


def _tests(
    kit: Kit, spoken: Sequence[Utterance], plan: Plan, change_cosine: float | None
) -> Iterator[Test]:
    """Of one session."""
    about = spoken[0].recording
    for length, noise, clip in _clips(about, spoken, plan):
        segments = hear(kit, clip.samples, change_cosine=change_cosine)
        heard = in_the_clip(segments, clip, whole=length == FULL)
        for segment in heard or (None,):
            yield Test(
                corpus=about.corpus,
                speaker=about.speaker,
                half=about.half,
                session=about.session,
                length=length,
                noise=noise,
                heard=segment,
            )


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


def _clips(
    about: Recording, spoken: Sequence[Utterance], plan: Plan
) -> Iterator[tuple[str, str, Clip]]:
    speech = join(each.speech for each in spoken)
    crops = nested(speech, plan.lengths_s, max_places=plan.max_places)
    for number, by_length in enumerate(crops):
        level = rms_of(by_length[max(plan.lengths_s)])
        for length_s, crop in by_length.items():
            # Seeded by the place alone: the shorter crop is the beginning of the longer one.
            place = (plan.seed, about.speaker, about.session, str(number))
            clip = in_a_room(crop.samples, crop.quiet_rms, seeded(*place))
            is_other = length_s != plan.brief_length_s
            for noise, noisy in _with_noises(clip, level, plan, place, skip_brief=is_other):
                yield f"{length_s:g} s", noise, noisy
    for each in spoken:
        place = (plan.seed, about.speaker, about.session, each.recording.path.name)
        clip = in_a_room(each.samples, quiet_rms(each.samples), seeded(*place))
        for noise, noisy in _with_noises(clip, rms_of(each.speech), plan, place):
            yield FULL, noise, noisy


def _with_noises(
    clip: Clip,
    level: float,
    plan: Plan,
    place: tuple[int | str, ...],
    *,
    skip_brief: bool = False,
) -> Iterator[tuple[str, Clip]]:
    yield CLEAN, clip
    for noise in plan.noises:
        if skip_brief and noise.name in plan.brief:
            continue
        yield noise.name, noise.hear(clip, level, seeded(*place, noise.name))
