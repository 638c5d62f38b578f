"""Puts voiceprints out of this machine's store into one file for another machine.

In: the store, names, a passphrase. Out: the file, as ``transfer`` has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.errors import StateError
from voiceguard.voiceprints.durable import replace_durably
from voiceguard.voiceprints.names import speaker_id
from voiceguard.voiceprints.transfer import Parcel, seal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from voiceguard.voiceprints.store import VoiceprintStore


def pack(store: VoiceprintStore, names: Iterable[str], *, with_audio: bool) -> list[Parcel]:
    """Speakers' voiceprints, each once, with the audio that is kept of them where it goes along.

    Raises:
        VoiceprintError: As ``VoiceprintStore.load``, as is StoreKeyError.
    """
    parcels = []
    for name in dict.fromkeys(map(speaker_id, names)):
        voiceprint = store.load(name)
        audio = store.load_audio(voiceprint) if with_audio else None
        parcels.append(Parcel(voiceprint=voiceprint, audio=audio))
    return parcels


def write_export(path: Path, parcels: Sequence[Parcel], passphrase: str) -> None:
    """Writes the file whole or not at all, for its owner only.

    Raises:
        UsageError: The passphrase is too short.
        StateError: It can't be written.
    """
    content = seal(parcels, passphrase)
    try:
        replace_durably((path, content))
    except OSError as error:
        raise StateError(
            f"cannot write {path}: {error.strerror}", hint="choose another place with --out"
        ) from error
