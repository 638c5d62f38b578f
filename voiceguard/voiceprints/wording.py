"""What the store says when it refuses: who or what, what was expected, what to do."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from voiceguard.errors import StoreKeyError, VoiceprintError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints.key import StoreKey


class EncoderNames:
    """Encoders as people know them here."""

    def __init__(self, name_of: Callable[[str], str | None]) -> None:
        """``name_of``: what an encoder of that id is called here; None: it is not here."""
        self.name_of = name_of

    def describe(self, encoder_id: str) -> str:
        """The id, and the name that it has here: ``f97a3195a4a38cd5 (ecapa-c320)``."""
        name = self.name_of(encoder_id)
        return encoder_id if name is None else f"{encoder_id} ({name})"

    def of_another(
        self, voiceprint: Voiceprint, encoder_id: str, *, has_audio: bool
    ) -> VoiceprintError:
        """Of a voiceprint that the encoder in use can't be compared with."""
        speaker = voiceprint.speaker
        anew = (
            f"`voiceguard voiceprints migrate {speaker}` makes it anew from the audio that was kept"
            if has_audio
            else f"no audio was kept to make it anew from: `voiceguard enroll {speaker} --force`"
        )
        older = self.name_of(voiceprint.encoder_id)
        back = (
            f"`voiceguard models use {older}` goes back to the encoder that made it"
            if older is not None
            else "bring the encoder that made it, where you have it: `voiceguard models import` "
            'and `use`, or model = "/path/old.safetensors" under [encoder] in voiceguard.toml'
        )
        return VoiceprintError(
            f"the voiceprint of {speaker!r} was made by encoder "
            f"{self.describe(voiceprint.encoder_id)}; the one in use is "
            f"{self.describe(encoder_id)}, and the two can't be compared",
            hint=f"{anew}; or {back}",
        )


def nobody(speaker: str, directory: Path, names: Sequence[str]) -> VoiceprintError:
    """There is none of that name."""
    return VoiceprintError(
        f"there is no voiceprint of {speaker!r} in {directory}",
        hint=f"enrolled: {', '.join(names) or 'nobody'}; `voiceguard enroll NAME` adds somebody",
    )


def removal(name: str) -> str:
    """How to get rid of a file whose name no speaker can have."""
    return f"`voiceguard voiceprints remove -- {shlex.quote(name)}` removes it"


def already_enrolled(speaker: str) -> VoiceprintError:
    """There is one already, and nobody said that it may be replaced."""
    return VoiceprintError(
        f"{speaker!r} is already enrolled",
        hint="--add takes another room or microphone in, --force starts anew",
    )


def changed_meanwhile(speaker: str) -> VoiceprintError:
    """Another process wrote it since it was read."""
    return VoiceprintError(
        f"the voiceprint of {speaker!r} was changed by somebody else meanwhile",
        hint="give the command again",
    )


def key_missing(path: Path, directory: Path, num_voiceprints: int) -> StoreKeyError:
    """Voiceprints without their key."""
    return StoreKeyError(
        f"the key file {path} is missing, and the {num_voiceprints} voiceprint(s) in "
        f"{directory} can't be read without it",
        hint="restore that file; or remove the voiceprints "
        "(`voiceguard voiceprints remove NAME`) and enroll again",
    )


def key_does_not_fit(key: StoreKey, directory: Path) -> StoreKeyError:
    """A key that seals none of them."""
    return StoreKeyError(
        f"{key.source} is not the key that sealed the voiceprints in {directory}",
        hint="restore the right key; or remove the voiceprints "
        "(`voiceguard voiceprints remove NAME`) and enroll again",
    )
