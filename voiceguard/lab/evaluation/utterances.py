"""The speech of a corpus, each recording decoded and gated once, speaker by speaker.

In: recordings. Out: ``SpokenSessions``, which every reading of an evaluation takes in turn; nothing
of a speaker is kept when the next one comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.errors import AudioError
from voiceguard.lab.corpora.clips import join, seeded, speech_of
from voiceguard.lab.corpora.corpus import Skip
from voiceguard.lab.corpora.windows import load_spread
from voiceguard.lab.progress import untracked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from voiceguard.lab.corpora.clips import Speech
    from voiceguard.lab.corpora.corpus import Corpus, Recording
    from voiceguard.lab.progress import Track
    from voiceguard.service.kit import Kit
    from voiceguard.types import Samples


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """A recording, decoded."""

    recording: Recording
    samples: Samples
    """``(num_samples,)`` mono 16 kHz."""
    speech: Speech


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpokenSessions:
    """One speaker's utterances."""

    about: Recording
    """The first of them; its corpus, speaker and half are the speaker's."""
    sessions: Mapping[str, list[Utterance]]
    """By occasion; none is empty."""
    skips: tuple[Skip, ...]
    """Recordings that are unreadable or silent."""

    @property
    def longest(self) -> Speech | None:
        """The session with most speech, its utterances joined; None where there is none."""
        joined = [join(each.speech for each in session) for session in self.sessions.values()]
        return max(joined, key=lambda speech: speech.net_s, default=None)


def each_speaker(
    kit: Kit, corpus: Corpus, *, seed: int, track: Track = untracked, description: str
) -> Iterator[SpokenSessions]:
    """Decodes and gates a corpus, in the order of the speakers' names.

    Args:
        kit: Its gate finds the speech.
        corpus: Labelled recordings.
        seed: Of the room tone around each recording.
        track: Shows progress.
        description: Of what is done with them.
    """
    speakers = corpus.by_speaker()
    for speaker in track(sorted(speakers), description):
        skips: list[Skip] = []
        sessions: dict[str, list[Utterance]] = {}
        for each in utterances(kit, speakers[speaker], seed, skips):
            sessions.setdefault(each.recording.session, []).append(each)
        yield SpokenSessions(about=speakers[speaker][0], sessions=sessions, skips=tuple(skips))


def utterances(
    kit: Kit, recordings: Iterable[Recording], seed: int, skips: list[Skip]
) -> Iterator[Utterance]:
    """Decodes and gates recordings one by one; the unreadable and silent go to ``skips``."""
    for recording in recordings:
        try:
            samples = load_spread(recording.path, kit.settings.audio.channel)
        except AudioError as error:
            skips.append(Skip(recording.path, str(error)))
            continue
        rng = seeded(seed, recording.speaker, recording.path.name)
        speech = speech_of(samples, kit.make_gate(), rng)
        if speech.net_s:
            yield Utterance(recording, samples, speech)
        else:
            skips.append(Skip(recording.path, "no speech in it"))


def takes_of(sessions: Mapping[str, list[Utterance]], num_enroll: int) -> list[Utterance]:
    """What a speaker is enrolled from: the longest utterances of the session with most speech.

    The longest, as prompts are long sentences. The session keeps one utterance at least for
    testing. Where none has more than ``num_enroll``, all of one are taken and the other sessions
    are left for testing: corpora in which every recording counts as a session of its own.

    Args:
        sessions: A speaker's utterances.
        num_enroll: At most so many.

    Returns:
        Empty where nothing would be left to test with.
    """
    large = [session for session in sessions.values() if len(session) > num_enroll]
    if not large and len(sessions) > 1:
        large = list(sessions.values())
    if not large:
        return []
    session = max(large, key=lambda session: sum(each.speech.net_s for each in session))
    return sorted(session, key=lambda each: (-each.speech.net_s, each.recording.path))[:num_enroll]


def left_to_test(
    sessions: Mapping[str, list[Utterance]], takes: Iterable[Utterance]
) -> Iterator[list[Utterance]]:
    """Session by session, the utterances that nobody was enrolled from."""
    enrolled_from = {take.recording.path for take in takes}
    for session in sessions.values():
        rest = [each for each in session if each.recording.path not in enrolled_from]
        if rest:
            yield rest
