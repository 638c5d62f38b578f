"""Which rule decides, and what it says. Pure but for the time zone, which the machine knows.

Four questions, each asked among what the one before has left (docs/rules-for-people.md):

1. for what: rules that name the action alone; where there are none, rules that name none
2. who: rules that name the speaker; else those that name their role; else those that name nobody
   (``adult``, ``child``, ``guest`` are roles in a rule, whoever may be called that)
3. where: rules that name the stream; else those that name none
4. when: the one whose hours it is

Where nothing is left, nothing is allowed; only whom no rule is about at all goes by [policy].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from voiceguard.clock import is_plausible
from voiceguard.people.config import ROLES
from voiceguard.scoring.allowance import Allowance

if TYPE_CHECKING:
    from datetime import datetime

    from voiceguard.people.config import PeopleConfig, Rule


_MAX_KEPT = 1024
"""Answers that are remembered: of speakers, streams and actions."""


@dataclass(frozen=True, slots=True)
class _About:
    """The rules that are about somebody somewhere, whatever the time."""

    there: tuple[tuple[str, Rule], ...]
    """Of which one may hold at a time."""
    refused_by: str
    """Where none does: all of them; or, where there is none, those that leave it out."""


class Rules:
    """The rules of the settings.

    Args:
        config: The [people] table.
    """

    def __init__(self, config: PeopleConfig) -> None:
        self.config = config
        self._zone = ZoneInfo(config.timezone) if config.timezone else None
        self._rules = tuple(config.rules.items())
        self._times = {name: rule.times for name, rule in self._rules}
        self._about = lru_cache(maxsize=_MAX_KEPT)(self._find)

    @property
    def are_there(self) -> bool:
        """Whether there is any."""
        return bool(self._rules)

    def allowance(
        self, speaker: str, stream: str, action: str | None, moment: datetime
    ) -> Allowance | None:
        """What is allowed to a speaker there and then.

        Args:
            speaker: Who.
            stream: Where they are heard.
            action: For what; None: a decision that is for nothing in particular.
            moment: When, with its zone.

        Returns:
            None: no rule is about them, so that [policy] alone decides.
        """
        about = self._about(speaker, stream, action)
        if about is None:
            return None
        for name, rule in about.there:
            if self._is_time(name, moment):
                return allowance_by(name, rule)
        return Allowance(rule=about.refused_by, is_allowed=False)

    def with_rates(self, speaker: str) -> list[tuple[str, Rule]]:
        """Those with a rate of their own that a decision about a speaker goes by, there or then."""
        actions = {None, *(action for _, rule in self._rules for action in rule.actions)}
        theirs = {
            name for each in actions for name, _ in self._about_them(self._for(each), speaker)
        }
        return [
            (name, rule)
            for name, rule in self._rules
            if name in theirs and (rule.p_fa is not None or rule.far_per_hour is not None)
        ]

    def _find(self, speaker: str, stream: str, action: str | None) -> _About | None:
        """The first three questions, whose answers never change."""
        found = self._for(action)
        theirs = self._about_them(found, speaker)
        is_named = any(rule.actions for _, rule in found)
        if not theirs and not is_named:
            return None
        there = _first(
            [each for each in theirs if stream in each[1].streams],
            [each for each in theirs if not each[1].streams],
        )
        return _About(tuple(there), ", ".join(name for name, _ in there or theirs or found))

    def _for(self, action: str | None) -> list[tuple[str, Rule]]:
        """The first question."""
        return _first(
            [each for each in self._rules if action is not None and action in each[1].actions],
            [each for each in self._rules if not each[1].actions],
        )

    def _about_them(self, found: list[tuple[str, Rule]], speaker: str) -> list[tuple[str, Rule]]:
        """The second."""
        role = self.config.role_of(speaker)
        return _first(
            [each for each in found if speaker in each[1].who and speaker not in ROLES],
            [each for each in found if role in each[1].who],
            [each for each in found if not each[1].who],
        )

    def _is_time(self, name: str, moment: datetime) -> bool:
        times = self._times[name]
        return times.is_always or (
            is_plausible(moment) and times.hold_at(moment.astimezone(self._zone))
        )


def allowance_by(name: str, rule: Rule) -> Allowance:
    """What a rule allows to whom it is about, while it holds."""
    return Allowance(rule=name, is_allowed=True, p_fa=rule.p_fa, far_per_hour=rule.far_per_hour)


def _first(*tiers: list[tuple[str, Rule]]) -> list[tuple[str, Rule]]:
    """The first that is not empty."""
    return next(filter(None, tiers), [])
