"""What a speaker may be called: the name goes into MQTT topics, file names and entity ids."""

from __future__ import annotations

import re
import unicodedata

from voiceguard.errors import UsageError

MAX_NAME_LENGTH = 32
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


def check_speaker_name(name: str) -> str:
    """Returns the name where it matches ``[a-z0-9_][a-z0-9_-]{0,31}``.

    With a hyphen in front every command would take it for an option.

    Raises:
        UsageError: It does not; says which character is wrong and suggests a name that is right.
    """
    if not name:
        raise UsageError("a speaker's name must not be empty", hint=_RULE)
    for position, character in enumerate(name, start=1):
        if character not in _ALLOWED:
            raise UsageError(
                f"the speaker's name {_shown(name)} must not contain {character!r} "
                f"(character {position})",
                hint=_suggestion(name),
            )
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


_RULE = (
    f"use 1 to {MAX_NAME_LENGTH} of a-z, 0-9, _ and -, the first no -; "
    "--display-name takes any text, for people to read"
)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 2 * MAX_NAME_LENGTH else name[:MAX_NAME_LENGTH] + "...")


def _suggestion(name: str) -> str:
    """The rule, preceded by the nearest right name where one is left ("Jörg B." -> "jorg-b")."""
    slug = _slug(name)
    return f"for example {slug!r}; {_RULE}" if slug else _RULE


def _slug(name: str) -> str:
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_]+", "-", ascii_name.lower()).strip("-")[:MAX_NAME_LENGTH].strip("-")
