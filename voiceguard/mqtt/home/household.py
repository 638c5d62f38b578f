"""Hop 6 of 6: whom and what Home Assistant is told about, the daemon itself aside. Pure.

In: speakers and streams as the daemon has them. Out: the names by which people read them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NOBODY, STRANGER, INCONCLUSIVE = "Nobody", "Unknown speaker", "Inconclusive"
"""What *last speaker* says where there is no speaker."""
_RESERVED = {
    *(each.casefold() for each in (NOBODY, STRANGER, INCONCLUSIVE)),
    *("unknown", "unavailable", "none"),
}
_MAX_SHOWN = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """Everything that comes and goes in the announcement."""

    speakers: Mapping[str, str] = field(default_factory=dict)
    """Id to the name that people read, of which no two are alike."""
    streams: Mapping[str, str] = field(default_factory=dict)
    """Name to the area that is suggested for it; empty: none."""
    p_fa_choices: tuple[float, ...] = ()
    """Rates that may be chosen; without any there is nothing to choose."""
    can_restart: bool = False
    """Whether whoever runs the daemon starts it again when it is asked to end."""
    configuration_url: str = ""
    """A page about this daemon; empty: none."""


def shown_names(speakers: Mapping[str, str]) -> dict[str, str]:
    """Names for people, each once: two Annas have their ids behind them.

    Args:
        speakers: Id to display name; empty: the id.
    """
    names = {
        speaker: " ".join(display.split())[:_MAX_SHOWN] or speaker
        for speaker, display in speakers.items()
    }
    counts = Counter(name.casefold() for name in names.values())
    return {
        speaker: f"{name} ({speaker})"
        if counts[name.casefold()] > 1 or name.casefold() in _RESERVED
        else name
        for speaker, name in names.items()
    }


def area_of(stream: str) -> str:
    """The area that a stream's name suggests: ``living-room`` is "Living room"."""
    return " ".join(stream.replace("_", " ").replace("-", " ").split()).capitalize()


def percent(rate: float) -> str:
    """A rate as it is chosen: 0.001 is "0.1 %"."""
    return f"{100 * rate:.10g} %"
