"""Errors repeat what was typed, but no address with a user and a password in it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HIDDEN = "(not repeated: it may hold a password)"

_LOGIN = re.compile(r"(:|%3a).*@", re.IGNORECASE | re.DOTALL)
"""``user:password@``, however little of an address surrounds it."""


def without_credentials(text: str, arguments: Sequence[str] | None = None) -> str:
    """The text without those of the arguments that may be ``user:password@host``.

    Typed in the wrong place (``voiceguard run mqtt://...`` without ``--broker``), an address is a
    file or a command that nobody knows, and the command line's errors name it.

    Args:
        text: To be shown.
        arguments: As they were typed; None: this process's.
    """
    typed = sys.argv[1:] if arguments is None else arguments
    spelled = {each for argument in typed for each in _spellings(argument)}
    for each in sorted(spelled, key=len, reverse=True):
        text = text.replace(each, HIDDEN)
    return text


def _spellings(argument: str) -> Iterator[str]:
    """A login alone or after ``--option=``; as it is, as a path and quoted."""
    for value in (argument, argument.partition("=")[2]):
        if _LOGIN.search(value):
            for each in (value, str(Path(value))):
                yield each
                yield repr(each)[1:-1]
                # as typer shows what is not printable
                yield "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in each)
