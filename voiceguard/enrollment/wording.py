"""What became of a take, said to people.

In: a ``TakeReport``. Out: a sentence or two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.enrollment.assessment import MIN_SNR_DB, MIN_TAKE_SPEECH_S, Problem

if TYPE_CHECKING:
    from voiceguard.enrollment.assessment import TakeReport

WORTH_SAYING_S = 1.0
"""Of music left out; less may be a chair."""


def describe(report: TakeReport) -> str:
    """What was wrong with a take and how to do better, or its figures when it is usable."""
    figures = f"{report.net_speech_s:.1f} s of speech"
    if report.is_usable:
        without = f"; {report.left_out_s:.1f} s of music or noise left out"
        return f"{figures}, {report.snr_db:.0f} dB over the noise" + (
            without if report.left_out_s >= WORTH_SAYING_S else ""
        )
    return " ".join(
        {
            Problem.SILENCE: "No speech was heard: is this the right microphone, and is it on?",
            Problem.NOT_SPEECH: f"Not speech: {report.left_out_s:.1f} s of music or noise and "
            f"{figures}. Turn the music off.",
            Problem.TOO_SHORT: f"Too short: {figures}; at least {MIN_TAKE_SPEECH_S:g} s "
            "without a long pause are needed.",
            Problem.CLIPPED: f"Clipped: {100 * report.clipped_fraction:.1f} % of it is at full "
            "scale; lower the microphone's level or move away from it.",
            Problem.TOO_NOISY: f"Too noisy: speech is {report.snr_db:.0f} dB over the noise; "
            f"{MIN_SNR_DB:g} dB are needed. Come closer, or turn the noise down.",
            Problem.MORE_THAN_ONE_VOICE: "More than one voice, at once or one after the other: "
            "speak alone.",
            Problem.DOES_NOT_MATCH: "Doesn't match the other takes (cosine "
            f"{report.agreement or 0.0:.2f}): another person, or a very different place?",
        }[problem]
        for problem in report.problems
    )
