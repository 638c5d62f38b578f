"""Whether this installation can tell speech from music and noise, and one voice from several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.encoder.overlap.loading import load_overlap
from voiceguard.errors import VoiceguardError
from voiceguard.service.checks.check import Check, Status
from voiceguard.speech.vad import why_no_judge

if TYPE_CHECKING:
    from voiceguard.settings import Settings


def check_speech_judge(settings: Settings) -> Check:
    """What hears speech, and whether it is what was wanted."""
    name, backend = "speech", settings.vad.backend
    if backend == "energy":
        return Check(name, Status.OK, "by energy, as vad.backend says; music is heard as speech")
    if (missing := why_no_judge()) is None:
        return Check(name, Status.OK, f"{backend}, with Silero VAD (MIT)")
    if backend == "silero":
        return Check.failed(name, missing)
    detail = f"by energy alone, so that music and noise are heard as speech: {missing}"
    return Check(name, Status.WARN, detail, missing.hint)


def check_overlap(settings: Settings) -> Check:
    """What hears several voices at once: loads it as the daemon does."""
    name = "overlap"
    try:
        detector = load_overlap(settings.overlap)
    except VoiceguardError as error:
        return Check.failed(name, error)
    if detector is None:
        return Check(name, Status.OK, "off (overlap.detector): voices at once go unnoticed")
    return Check(name, Status.OK, "hears voices that speak at once")
