"""Whether this installation can tell speech from music and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
