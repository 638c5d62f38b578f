"""Which rule decides, and what it says. Pure but for the time zone, which the machine knows.

Four questions, each asked among what the one before has left (docs/rules-for-people.md):

1. for what: rules that name the action alone; where there are none, rules that name none
2. who: rules that name the speaker; else those that name their role; else those that name nobody
3. where: rules that name the stream; else those that name none
4. when: the one whose hours it is

Where nothing is left, nothing is allowed; only whom no rule is about at all goes by [policy].
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from voiceguard.clock import is_plausible
from voiceguard.scoring.allowance import Allowance

if TYPE_CHECKING:
    from datetime import datetime

    from voiceguard.people.config import PeopleConfig, Rule


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
        found = [(name, rule) for name, rule in self._rules if action and action in rule.actions]
        is_named = bool(found)
        found = found or [(name, rule) for name, rule in self._rules if not rule.actions]
        about = self._about(speaker, found)
        if not about:
            return _refused(found) if is_named else None
        there = _first(
            [each for each in about if stream in each[1].streams],
            [each for each in about if not each[1].streams],
        )
        for name, rule in there:
            if self._is_time(name, moment):
                return Allowance(
                    rule=name, is_allowed=True, p_fa=rule.p_fa, far_per_hour=rule.far_per_hour
                )
        return _refused(there or about)

    def _about(self, speaker: str, rules: list[tuple[str, Rule]]) -> list[tuple[str, Rule]]:
        role = self.config.role_of(speaker)
        return _first(
            [each for each in rules if speaker in each[1].who],
            [each for each in rules if role in each[1].who],
            [each for each in rules if not each[1].who],
        )

    def _is_time(self, name: str, moment: datetime) -> bool:
        times = self._times[name]
        return times.is_always or (
            is_plausible(moment) and times.hold_at(moment.astimezone(self._zone))
        )


def _first(*tiers: list[tuple[str, Rule]]) -> list[tuple[str, Rule]]:
    """The first that is not empty."""
    return next(filter(None, tiers), [])


def _refused(rules: list[tuple[str, Rule]]) -> Allowance:
    """Several, where none of them allows it."""
    return Allowance(rule=", ".join(name for name, _ in rules), is_allowed=False)
