"""The setup ceremony: takes of one person's voice become a voiceprint, or are sent back with why.

``takes`` judges each take and compares them, ``voices`` looks for a second voice in one, ``music``
leaves out what is no speech, ``wording`` says it to people, ``ceremony`` makes the voiceprint and
``prediction`` says how well it will do. Blocking (embeds); no clock, no files.
"""

from voiceguard.enrollment.ceremony import (
    ENOUGH_SPEECH_S,
    MIN_TOTAL_SPEECH_S,
    Enrollment,
    enroll_recordings,
)
from voiceguard.enrollment.prediction import foretell, latest_takes
from voiceguard.enrollment.takes import (
    MIN_TAKE_SPEECH_S,
    Problem,
    TakeReport,
    assess_take,
    compare_takes,
)
from voiceguard.enrollment.wording import describe

__all__ = [
    "ENOUGH_SPEECH_S",
    "MIN_TAKE_SPEECH_S",
    "MIN_TOTAL_SPEECH_S",
    "Enrollment",
    "Problem",
    "TakeReport",
    "assess_take",
    "compare_takes",
    "describe",
    "enroll_recordings",
    "foretell",
    "latest_takes",
]
