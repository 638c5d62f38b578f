"""The trial material of a corpus, for encoders alone: who is enrolled, and what is put to them.

In: one speaker's decoded utterances. Out: takes to enroll from and pieces of speech to test with,
the same places at every length, each as it arrives under every condition. No threshold and no
refusal plays a part, so that every encoder meets the same trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.corpora.clips import in_a_room, join, nested, seeded, speech_rms
from voiceguard.lab.corpora.conditions import Clean
from voiceguard.lab.evaluation.daemon.experiment import FULL, LENGTHS_S
from voiceguard.speech.levels import snr_db
from voiceguard.types import SAMPLE_RATE_HZ, SpeechAudio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voiceguard.lab.corpora.clips import Clip, Speech
    from voiceguard.lab.corpora.conditions import Condition
    from voiceguard.lab.evaluation.daemon.experiment import Utterance
    from voiceguard.speech.gate import SpeechGate
    from voiceguard.types import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderPlan:
    """What encoders are asked."""

    num_enroll: int = 3
    """Utterances of one session that a voiceprint is made from."""
    lengths_s: tuple[float, ...] = LENGTHS_S
    """Net speech of the crops."""
    with_whole: bool = True
    """Whether utterances are tested whole as well; most of the work."""
    max_places: int = 3
    """In each session, from where crops of every length are taken."""
    conditions: tuple[Condition, ...] = (Clean(),)
    """How test speech arrives; enrollment is clean."""
    seed: int = 0
    num_draws: int = 400
    """Of speakers, for the intervals."""

    def __post_init__(self) -> None:
        names = [condition.name for condition in self.conditions]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"conditions must have a name each, not {names}")
        if min(self.num_enroll, self.max_places, self.num_draws) < 1:
            raise ValueError("num_enroll, max_places and num_draws must be at least 1")
        if not self.lengths_s or min(self.lengths_s) <= 0:
            raise ValueError(f"lengths_s must be positive, at least one, not {self.lengths_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollee:
    """Whose voiceprint it is, and of which occasion."""

    corpus: str
    speaker: str
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What one test embedding was made from."""

    corpus: str
    speaker: str
    session: str
    net_speech_s: float
    snr_db: float
    """As the gate estimates it; NaN where nobody asked."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """A stretch of one speaker's clean speech."""

    length: str
    """``3 s`` of net speech, or ``full``: an utterance."""
    speech: Speech
    level_rms: float
    """Of the speech; the same at every length, so that noise is as loud in each."""
    place: tuple[int | str, ...]
    """Seeds what happens to it."""

    def heard(self, condition: Condition) -> Clip:
        """As it arrives, room tone before and after."""
        clip = in_a_room(self.speech.samples, self.speech.quiet_rms, seeded(*self.place))
        return condition.hear(clip, self.level_rms, seeded(*self.place, condition.name))


def pieces_of(session: Sequence[Utterance], plan: EncoderPlan) -> Iterator[Piece]:
    """Crops of every length from the same places of a session, then its utterances whole.

    The latter only if the plan has them.

    Args:
        session: Utterances that nobody was enrolled from, at least one.
        plan: Lengths and places.
    """
    about = session[0].recording
    whose = (plan.seed, about.speaker, about.session)
    speech = join(each.speech for each in session)
    for number, crops in enumerate(nested(speech, plan.lengths_s, max_places=plan.max_places)):
        level_rms = speech_rms(crops[max(plan.lengths_s)])
        for length_s, crop in crops.items():
            yield Piece(
                length=length_name(length_s),
                speech=crop,
                level_rms=level_rms,
                place=(*whose, number),
            )
    for each in session if plan.with_whole else ():
        yield Piece(
            length=FULL,
            speech=each.speech,
            level_rms=speech_rms(each.speech),
            place=(*whose, each.recording.path.name),
        )


def length_name(length_s: float) -> str:
    """``3 s``."""
    return f"{length_s:g} s"


def within(clip: Clip) -> Samples:
    """The speech of a clip, without the room before and after."""
    start, end = (round(at_s * SAMPLE_RATE_HZ) for at_s in (clip.start_s, clip.end_s))
    return clip.samples[start:end]


def estimated_snr_db(clip: Clip, gate: SpeechGate) -> float:
    """Speech over noise as the daemon would estimate it, which calibrations go by.

    Args:
        clip: With the room around it, from which the noise is learnt.
        gate: A fresh one.

    Returns:
        Over all that the gate takes for speech; -10 dB where that is nothing.
    """
    audio = [
        event
        for event in [*gate.push(clip.samples), *gate.flush()]
        if isinstance(event, SpeechAudio)
    ]
    is_speech = np.array([mark for part in audio for mark in part.is_speech], dtype=np.bool_)
    if not is_speech.any():
        return snr_db(0.0, 1.0)
    powers = np.array([power for part in audio for power in part.powers])
    noises = np.array([power for part in audio for power in part.noise_powers])
    return snr_db(float(powers[is_speech].mean()), float(noises[is_speech].mean()))
