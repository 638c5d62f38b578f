"""Pieces of speech to test with: the same places at every length, as they arrive.

In: one session's utterances. Out: ``Piece``s, each of which can be heard under every condition. No
threshold and no refusal plays a part, so that every encoder meets the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.corpora.clips import in_a_room, join, nested, seeded, speech_rms
from voiceguard.lab.evaluation.plan import FULL, length_name
from voiceguard.speech.levels import snr_db
from voiceguard.types import SAMPLE_RATE_HZ, SpeechAudio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voiceguard.lab.corpora.clips import Clip, Speech
    from voiceguard.lab.corpora.conditions import Condition
    from voiceguard.lab.evaluation.plan import Plan
    from voiceguard.lab.evaluation.utterances import Utterance
    from voiceguard.speech.gate import SpeechGate
    from voiceguard.types import Samples


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """A stretch of one speaker's clean speech, in a room of its own quiet."""

    length: str
    """``3 s`` of net speech, or ``full``: an utterance."""
    clip: Clip
    net_speech_s: float
    level_rms: float
    """Of the speech; the same at every length, so that noise is as loud in each."""
    place: tuple[int | str, ...]
    """Seeds what happens to it."""

    def heard(self, condition: Condition) -> Clip:
        """As it arrives, room tone before and after."""
        return condition.hear(self.clip, self.level_rms, seeded(*self.place, condition.draws))


def make_piece(
    speech: Speech,
    *,
    length: str,
    place: tuple[int | str, ...],
    level_rms: float | None = None,
    samples: Samples | None = None,
) -> Piece:
    """Puts speech into a room.

    Args:
        speech: What is tested.
        length: Its name.
        place: Seeds the room tone; the same for crops that begin in the same place.
        level_rms: Of the speech; None: its own.
        samples: ``(num_samples,)``: the recording around it, pauses at either end included; None:
            the speech alone.
    """
    heard = speech.samples if samples is None else samples
    return Piece(
        length=length,
        clip=in_a_room(heard, speech.quiet_rms, seeded(*place)),
        net_speech_s=speech.net_s,
        level_rms=speech_rms(speech) if level_rms is None else level_rms,
        place=place,
    )


def pieces_of(
    session: Sequence[Utterance], plan: Plan, *, as_recorded: bool = False
) -> Iterator[Piece]:
    """Crops of every length from the same places of a session, then its utterances whole.

    The latter only if the plan has them.

    Args:
        session: Utterances that nobody was enrolled from, at least one.
        plan: Lengths and places.
        as_recorded: Whole utterances with the pauses at either end, for the gate to leave out.
    """
    about = session[0].recording
    whose = (plan.seed, about.speaker, about.session)
    speech = join(each.speech for each in session)
    places = nested(speech, plan.lengths_s, max_places=plan.max_places, shorten=plan.every_session)
    for number, crops in enumerate(places):
        level_rms = speech_rms(crops[max(crops)])
        # The two readings have always drawn different room tone; published figures rest on it.
        place = (*whose, str(number) if as_recorded else number)
        for length_s, crop in crops.items():
            yield make_piece(crop, length=length_name(length_s), place=place, level_rms=level_rms)
    for each in session if plan.with_whole else ():
        yield make_piece(
            each.speech,
            length=FULL,
            place=(*whose, each.recording.path.name),
            samples=each.samples if as_recorded else None,
        )


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
