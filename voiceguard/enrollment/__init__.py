"""The setup ceremony: takes of one person's voice become a voiceprint, or are sent back with why.

``session`` is the order of work, ``takes`` collects one person's takes and makes the voiceprint;
``assessment`` judges each take and compares them, ``voices`` looks for a second voice in one,
``music`` leaves out what is no speech, ``wording`` says it to people, ``prediction`` says how well
a voiceprint will do, ``appraisal`` in one word, ``known_voice`` whether it is somebody's who is
enrolled. ``migration`` makes voiceprints anew for another encoder. Blocking (embeds);
no clock.
"""

from voiceguard.enrollment.appraisal import Advice, Appraisal, Quality, advise, appraise
from voiceguard.enrollment.assessment import (
    MIN_TAKE_SPEECH_S,
    Problem,
    TakeJudge,
    TakeReport,
)
from voiceguard.enrollment.known_voice import known_voice
from voiceguard.enrollment.prediction import latest_takes, predict_acceptance
from voiceguard.enrollment.session import Enrolled, EnrollmentSession, Mode
from voiceguard.enrollment.takes import (
    ENOUGH_SPEECH_S,
    MIN_TOTAL_SPEECH_S,
    Takes,
)
from voiceguard.enrollment.wording import describe

__all__ = [
    "ENOUGH_SPEECH_S",
    "MIN_TAKE_SPEECH_S",
    "MIN_TOTAL_SPEECH_S",
    "Advice",
    "Appraisal",
    "Enrolled",
    "EnrollmentSession",
    "Mode",
    "Problem",
    "Quality",
    "TakeJudge",
    "TakeReport",
    "Takes",
    "advise",
    "appraise",
    "describe",
    "known_voice",
    "latest_takes",
    "predict_acceptance",
]
