"""For the tests of programs that embed voiceguard: no weights, no torch, no microphone.

Voices are tones: ``tone(440, 3.0)`` is one person speaking for three seconds, ``tone(1000, 3.0)``
another. ``fake_guard`` is the real ``Guard`` with the real gate, judge and store over an encoder
that knows tones apart, so what your program sees is what it will see in use::

    guard = fake_guard(tmp_path)
    guard.enroll("anna", [tone(440, 6.0, seed=take) for take in range(3)], consent=True)
    assert guard.verify("anna", tone(440, 3.0, seed=9)).outcome is voiceguard.Outcome.ACCEPTED

Where only the answer matters, ``make_decision`` and ``make_judgement`` make one.
"""

from __future__ import annotations

from voiceguard.testing.answers import make_decision, make_judgement
from voiceguard.testing.encoder import FakeEncoder
from voiceguard.testing.guard import easy_calibration, fake_guard
from voiceguard.testing.sounds import quiet, tone

__all__ = [
    "FakeEncoder",
    "easy_calibration",
    "fake_guard",
    "make_decision",
    "make_judgement",
    "quiet",
    "tone",
]
