"""What a speaker may be called: as people write it, and the id that goes into topics and files."""

from __future__ import annotations

import re
import unicodedata

from anyascii import anyascii

from voiceguard.errors import UsageError

MAX_NAME_LENGTH = 32
MAX_WRITTEN_LENGTH = 64
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
_WRITTEN = frozenset(" .'\u2019-_")
"""Beside letters, their marks and digits of any script."""
RESERVED_NAMES = frozenset(
    {"unknown", "unavailable", "nobody", "none", "null", "stranger", "inconclusive"}
    | {"unknown-speaker", "unknown_speaker", "online", "offline", "on", "off", "true", "false"}
)
"""What Home Assistant and voiceguard say where there is no speaker: nobody is called that."""


def speaker_id(name: str) -> str:
    """The id of a name as people write it: Zoë is ``zoe``, Max Mustermann ``max-mustermann``.

    An id is its own.

    Raises:
        UsageError: It is no name; says which character is wrong.
    """
    if not name or all(character in _ALLOWED for character in name):
        return check_speaker_name(name)
    written = written_name(name)
    for position, character in enumerate(written, start=1):
        if unicodedata.category(character)[0] not in "LMN" and character not in _WRITTEN:
            raise _wrong_character(name, character, position)
    if written.startswith("-") or len(written) > MAX_WRITTEN_LENGTH or not _slug(written):
        return check_speaker_name(name)  # which says why not
    return _slug(written)


def written_name(name: str) -> str:
    """A name for people to read: composed characters, single blanks."""
    return unicodedata.normalize("NFC", " ".join(filter(None, name.split(" "))))


def new_speaker_id(name: str, display_name: str = "") -> str:
    """As ``speaker_id``, for somebody who is not enrolled yet.

    Raises:
        UsageError: It is no name, or means that there is no speaker; or the display name does.
    """
    identity = speaker_id(name)
    check_display_name(identity)
    check_display_name(display_name)
    return identity


def check_display_name(name: str) -> None:
    """Raises UsageError for a name that means that there is no speaker."""
    if (meant := _slug(name)) in RESERVED_NAMES:
        raise UsageError(
            f"nobody can be called {meant!r}: Home Assistant and automations would take it for "
            "the absence of a speaker",
            hint="choose another name",
        )


def check_speaker_name(name: str) -> str:
    """Returns the name where it is an id, ``[a-z0-9_][a-z0-9_-]{0,31}``.

    With a hyphen in front every command would take it for an option.

    Raises:
        UsageError: It does not; says which character is wrong and suggests a name that is right.
    """
    if not name:
        raise UsageError("a speaker's name must not be empty", hint=_RULE)
    for position, character in enumerate(name, start=1):
        if character not in _ALLOWED:
            raise _wrong_character(name, character, position)
    if name.startswith("-"):
        raise UsageError(
            f"the speaker's name {_shown(name)} must not begin with a hyphen",
            hint=_suggestion(name),
        )
    if len(name) > MAX_NAME_LENGTH:
        raise UsageError(
            f"the speaker's name {_shown(name)} has {len(name)} characters; "
            f"at most {MAX_NAME_LENGTH} are allowed",
            hint=_suggestion(name),
        )
    return name


def name_for(called: str) -> str:
    """The nearest right name for what people call somebody: "Jörg B." is jorg-b.

    Raises:
        UsageError: Nothing of it can be in a name.
    """
    return check_speaker_name(_slug(called) or called)


def _wrong_character(name: str, character: str, position: int) -> UsageError:
    return UsageError(
        f"the speaker's name {_shown(name)} must not contain {character!r} (character {position})",
        hint=_suggestion(name),
    )


_RULE = (
    f"write it as people do, or as 1 to {MAX_NAME_LENGTH} of a-z, 0-9, _ and -, the first no -; "
    "--display-name takes any text, for people to read"
)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 2 * MAX_NAME_LENGTH else name[:MAX_NAME_LENGTH] + "...")


def _suggestion(name: str) -> str:
    """The rule, preceded by the nearest right name where one is left ("Jörg B.!" -> "jorg-b")."""
    slug = _slug(name)
    return f"for example {slug!r}; {_RULE}" if slug else _RULE


def _slug(name: str) -> str:
    plain = anyascii(unicodedata.normalize("NFC", name)).replace("'", "").lower()
    slug = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")
    return slug[:MAX_NAME_LENGTH].strip("-")
