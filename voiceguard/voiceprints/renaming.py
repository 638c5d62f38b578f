"""Another display name for somebody who is enrolled; nothing else of them changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voiceguard.errors import UsageError
from voiceguard.voiceprints.names import check_display_name, speaker_id

if TYPE_CHECKING:
    from datetime import datetime

    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints.store import VoiceprintStore


def rename(store: VoiceprintStore, speaker: str, display_name: str, *, now: datetime) -> Voiceprint:
    """Stores the voiceprint with another name for people to read; kept audio stays.

    Raises:
        UsageError: No name that a speaker can have, or nothing to read.
        VoiceprintError: The speaker is not enrolled, or was changed meanwhile.
        StoreKeyError: The voiceprints' key is missing or wrong.
        StateError: The disk is full, or the directory can't be written to.
    """
    shown = " ".join(display_name.split())
    if not shown or not shown.isprintable():
        raise UsageError(
            f"{display_name!r} is no name that people can read",
            hint="give at least one character, and none that a screen can't show",
        )
    old = store.load(speaker_id(speaker))
    check_display_name(shown)
    new = replace(old, display_name=shown, updated_at=now)
    store.replace(old, new)
    return new
