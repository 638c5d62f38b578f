"""Where data from outside is handled: whatever goes wrong in there is a refusal by name.

Handlers expect what can be foreseen and say it in words of their own. This is for the rest (a
RecursionError, an OverflowError, a library's own exceptions): somebody's message, file or source
must never end what the others are served by.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from voiceguard.errors import VoiceguardError

if TYPE_CHECKING:
    from collections.abc import Iterator


_MAX_WORDS = 300


@contextlib.contextmanager
def refusing(what: str, refusal: type[VoiceguardError], *, hint: str = "") -> Iterator[None]:
    """Turns what nobody expected into a refusal; errors of ours pass as they are.

    FileNotFoundError passes too: that something is not there is no fault of what it holds.

    Args:
        what: Is refused, as a sentence begins with it: "the voiceprint of 'anna'".
        refusal: What to raise.
        hint: What to do.

    Raises:
        VoiceguardError: ``refusal``, which names what was refused and what went wrong.
    """
    try:
        yield
    except (VoiceguardError, FileNotFoundError):
        raise
    except Exception as error:
        raise refusal(f"{what} can't be used: {in_words(error)}", hint=hint) from error


def in_words(error: Exception) -> str:
    """What went wrong, for exceptions whose text alone may say nothing, or repeat a whole file."""
    text = getattr(error, "strerror", None) or str(error)
    if len(text) > _MAX_WORDS:
        text = f"{text[:_MAX_WORDS]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
