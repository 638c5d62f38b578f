"""Where a run's crops come from: voices drawn on the fly, or rounds of them made beforehand.

In: gathered speech, a recipe, a teacher. Out: a ``Source``; everything that is expensive to make
lies in the run's folder, and is found there again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voiceguard.lab.training.config import DRAWN
from voiceguard.lab.training.inputs import voices_key
from voiceguard.lab.training.speech.apart import labels_apart
from voiceguard.lab.training.speech.bank import VoiceBank, make_round
from voiceguard.lab.training.speech.circles import Circles
from voiceguard.lab.training.speech.drawn import DrawnVoices, window_samples
from voiceguard.lab.training.speech.hearing import window_teacher
from voiceguard.types import FRAME_S

if TYPE_CHECKING:
    from voiceguard.lab.progress import Track
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.corruption.augment import Augmenter
    from voiceguard.lab.training.hardware import Hardware
    from voiceguard.lab.training.inputs import Inputs
    from voiceguard.lab.training.speech.hearing import WindowTeacher
    from voiceguard.lab.training.speech.material import Passage
    from voiceguard.lab.training.speech.teachers import Teachers

_SHORTEST_DRAWN_S = 1.0
"""Of a passage; a shorter one, again and again in a window, is no speech that a teacher knows."""


@dataclass(frozen=True, slots=True)
class Listening:
    """How the teacher hears: recordings of any length, and windows where voices are drawn."""

    teachers: Teachers
    windows: WindowTeacher | None

    @classmethod
    def by(cls, config: TrainingConfig, teachers: Teachers, hardware: Hardware) -> Listening:
        """As the recipe needs it.

        Raises:
            EncoderError: The teacher cannot be loaded.
        """
        drawn = config.voices == DRAWN
        return cls(teachers, window_teacher(config.teacher, teachers, hardware) if drawn else None)


def settled(config: TrainingConfig, listening: Listening | None) -> TrainingConfig:
    """The recipe without the frames' part, where no frames are heard."""
    windows = None if listening is None else listening.windows
    has_frames = windows is not None and windows.frame_channels is not None
    return config if has_frames else replace(config, frames_weight=0.0)


def shortest_s(config: TrainingConfig, teacher: Teachers) -> float:
    """The shortest passage of which every voice can be embedded."""
    if config.voices == DRAWN:
        return _SHORTEST_DRAWN_S
    fastest = max(1.0, config.changed_speed[1]) if config.num_voices > 1 else 1.0
    return teacher.info.min_window_s * fastest + FRAME_S


def make_source(
    passages: tuple[Passage, ...],
    speakers: list[str],
    inputs: Inputs,
    config: TrainingConfig,
    listening: Listening | None,
    hardware: Hardware,
    track: Track,
    *,
    augmenter: Augmenter,
) -> VoiceBank | DrawnVoices:
    """The source of the recipe.

    Args:
        passages: Of everybody.
        speakers: Who is learnt.
        inputs: Folders.
        config: As ``settled``.
        listening: None without a teacher.
        hardware: Where crops are cut.
        track: Shows progress.
        augmenter: On the device, for what the teacher hears corrupted.

    Raises:
        OSError: The folder cannot be written.
    """
    teachers = None if listening is None else listening.teachers
    key = voices_key(inputs, config, teachers)
    if listening is not None and listening.windows is not None:
        learnt = set(speakers)
        own = [passage for passage in passages if passage.speaker in learnt]
        labels = labels_apart(
            own,
            listening.windows,
            window_samples(config),
            inputs.out,
            key=key,
            device=hardware.device,
            track=track,
        )
        circles = Circles(own, labels, hardware.device)
        return DrawnVoices(circles, listening.windows, config, augmenter)
    rounds = [
        make_round(passages, number, config, teachers, inputs.out, key=key, track=track)
        for number in range(config.num_voices)
    ]
    return VoiceBank(rounds, passages, speakers, hardware.device)
