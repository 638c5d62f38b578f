"""Puts the voiceprints of an export into this machine's store: all of them, or none.

In: the file, parcels out of ``transfer.unseal``, the store, the id of the encoder in use. Out: what
became of each. Everything that can be refused is refused before the first one is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.errors import UsageError, VoiceprintError
from voiceguard.validation.files import read_given
from voiceguard.voiceprints.names import new_speaker_id, speaker_id
from voiceguard.voiceprints.transfer import MAX_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints.store import VoiceprintStore
    from voiceguard.voiceprints.transfer import Parcel


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One voiceprint that is in the store now."""

    voiceprint: Voiceprint
    has_audio: bool
    needs_migration: bool
    """It is of another encoder than the one in use, and its audio came along to make it anew."""


def read_export(file: Path) -> bytes:
    """The bytes of an export, not believed yet.

    Raises:
        VoiceprintError: It can't be read, or is larger than any export.
    """
    try:
        return read_given(file, MAX_FILE_BYTES)
    except OSError as error:
        raise VoiceprintError(
            f"cannot read {file}: {error.strerror}", hint="check its name and permissions"
        ) from error


def receive(
    store: VoiceprintStore,
    parcels: Sequence[Parcel],
    *,
    encoder_id: str | None,
    replace: bool = False,
) -> tuple[Received, ...]:
    """Stores what arrived.

    Args:
        store: Where to.
        parcels: What arrived, or the part of it that is wanted.
        encoder_id: Of the encoder in use; None: not known, and not checked.
        replace: Whether voiceprints that are there may be replaced.

    Raises:
        UsageError: A name, or one for people, means that there is no speaker (``unknown``).
        VoiceprintError: A name is taken, or a voiceprint is of another encoder and came without
            audio. Nothing was stored.
        StoreKeyError: As ``VoiceprintStore.prepare``.
        StateError: As ``VoiceprintStore.save``; those before it are stored.
    """
    store.prepare()
    for parcel in parcels:
        speaker = new_speaker_id(parcel.voiceprint.speaker, parcel.voiceprint.display_name)
        if not replace and store.holds(speaker):
            raise VoiceprintError(
                f"{speaker!r} is enrolled here already; nothing was imported",
                hint="--replace takes the imported one instead, --as NAME keeps both",
            )
        if _is_foreign(parcel, encoder_id) and not _can_be_migrated(parcel):
            raise VoiceprintError(
                f"the voiceprint of {speaker!r} was made by encoder "
                f"{store.describe_encoder(parcel.voiceprint.encoder_id)}; the one in use here is "
                f"{store.describe_encoder(encoder_id or '')}, and the two can't be compared; "
                "nothing was imported",
                hint="use the same encoder here (`voiceguard models use NAME`), or export it with "
                "--with-audio, where audio was kept: `voiceguard voiceprints migrate` then makes "
                "it anew",
            )
    received = []
    for parcel in parcels:
        store.save(parcel.voiceprint, overwrite=replace, audio=parcel.audio)
        received.append(
            Received(
                voiceprint=parcel.voiceprint,
                has_audio=parcel.audio is not None,
                needs_migration=_is_foreign(parcel, encoder_id),
            )
        )
    return tuple(received)


def wanted(
    parcels: Sequence[Parcel], names: Sequence[str], new_name: str | None = None
) -> tuple[Parcel, ...]:
    """Those of an export that somebody asked for.

    Args:
        parcels: All that arrived.
        names: Of speakers; empty: everybody.
        new_name: What the one speaker shall be called here; None: as there.

    Raises:
        UsageError: One of them is not in the export, or several shall get one name.
    """
    by_name = {parcel.voiceprint.speaker: parcel for parcel in parcels}
    names = [speaker_id(name) for name in names]
    for name in names:
        if name not in by_name:
            raise UsageError(
                f"the export holds no voiceprint of {name!r}", hint=f"it holds {_list(by_name)}"
            )
    chosen = tuple(by_name[name] for name in dict.fromkeys(names or by_name))
    if new_name is None:
        return chosen
    if len(chosen) != 1:
        raise UsageError(
            f"--as gives one voiceprint another name, and these are {len(chosen)}",
            hint=f"name one of {_list(by_name)}",
        )
    return (chosen[0].named(new_name),)


def _list(names: dict[str, Parcel]) -> str:
    return ", ".join(names)


def _is_foreign(parcel: Parcel, encoder_id: str | None) -> bool:
    return encoder_id is not None and parcel.voiceprint.encoder_id != encoder_id


def _can_be_migrated(parcel: Parcel) -> bool:
    return parcel.audio is not None and bool(parcel.audio.takes)
