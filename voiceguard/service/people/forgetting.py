"""A person is forgotten: voiceprint, audio kept with it, and what the history knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.decisions.history import History
from voiceguard.errors import StateError
from voiceguard.paths import history_file, state_dir
from voiceguard.service.kit import open_store

if TYPE_CHECKING:
    from voiceguard.settings import Settings


def forget(settings: Settings, speaker: str) -> int:
    """Deletes all of it, readable or not; safe to repeat after an error.

    Returns:
        How many decisions of the history named them.

    Raises:
        UsageError: No name that a speaker can have.
        VoiceprintError: There is nobody of that name, in the history neither.
        StateError: Something can't be written.
    """
    store = open_store(settings)
    is_enrolled = store.holds(speaker)
    if is_enrolled:
        store.remove(speaker)
    num_decisions = forget_decisions(settings, speaker)
    if not is_enrolled and not num_decisions:
        store.remove(speaker)  # says that there is nobody of that name
    return num_decisions


def forget_decisions(settings: Settings, speaker: str) -> int:
    """Takes a person out of the history.

    Returns:
        How many decisions named them.

    Raises:
        StateError: It can't be written.
    """
    history = History(history_file(state_dir(settings.state_dir)), settings.history)
    try:
        return history.forget(speaker)
    except StateError as error:
        raise StateError(
            f"the history still names {speaker!r}, whose voiceprint is gone: {error}",
            hint="free some space or mend its permissions, then give this command again",
        ) from error
    finally:
        history.close()
