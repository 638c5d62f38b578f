"""The [people] table: roles, and the rules that say what is allowed to whom. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import combinations
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from voiceguard.people.hours import Times, parse_times
from voiceguard.scoring.policy import FAR_CEILING, P_FA_CEILING
from voiceguard.validation.ranges import Between, SettingsTable

NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,31}")
"""Of speakers, actions and rules."""
ROLES = ("adult", "child", "guest")
MAX_RULES = 100
MAX_ACTIONS = 16
"""Of one's own; each is decided on anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(SettingsTable):
    """What is allowed to whom; everything else is not, a table [people.rules.NAME]."""

    who: tuple[str, ...] = ()
    """Speakers, or ``adult``, ``child``, ``guest``. Empty: everybody who is enrolled."""
    streams: tuple[str, ...] = ()
    """At which microphones or proxies. Empty: at any."""
    actions: tuple[str, ...] = ()
    """For what: an action of ``[unlock.actions]``, of ``people.actions``, or ``assist`` (a gate of
    ``[[wyoming.proxy]]``). Empty: for everything that no rule names."""
    hours: str = ""
    """When, by the wall clock: ``22:00-06:00, 12:00-13:00``. Empty: all day."""
    days: str = ""
    """On which days a stretch of ``hours`` begins: ``mon-fri, sun``. Empty: every day."""
    p_fa: Annotated[float | None, Between(0, P_FA_CEILING, is_low_excluded=True)] = None
    """Stricter than ``policy.p_fa``, for these people: as it is stated there."""
    far_per_hour: Annotated[float | None, Between(0, FAR_CEILING, is_low_excluded=True)] = None
    """Instead of p_fa, as ``policy.far_per_hour``."""

    def __post_init__(self) -> None:
        SettingsTable.__post_init__(self)
        if self.p_fa is not None and self.far_per_hour is not None:
            raise ValueError("state either p_fa or far_per_hour, not both")
        for name, several in (
            ("who", self.who),
            ("streams", self.streams),
            ("actions", self.actions),
        ):
            if len(set(several)) < len(several):
                raise ValueError(f"{name} names somebody or something twice")
        for each in self.who:
            check_name("who", each)
        _ = self.times

    @property
    def times(self) -> Times:
        """When it allows anything."""
        return parse_times(self.hours, self.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleConfig(SettingsTable):
    """What is allowed to whom, the [people] table of voiceguard.toml."""

    adult: tuple[str, ...] = ()
    """Who is an adult, for rules that name ``adult``."""
    child: tuple[str, ...] = ()
    """Who is a child."""
    guest: tuple[str, ...] = ()
    """Who is a guest."""
    actions: tuple[str, ...] = ()
    """Actions of your own that rules may name: decisions say which of them they allow
    (``allows``)."""
    timezone: str = ""
    """Whose wall clock hours go by: ``Europe/Berlin``. Empty: this machine's."""
    rules: dict[str, Rule] = field(default_factory=dict)
    """By name, each a table [people.rules.NAME]; without one everybody who is enrolled is accepted
    everywhere, as [policy] says."""

    def __post_init__(self) -> None:
        SettingsTable.__post_init__(self)
        self._check_roles()
        for each in self.actions:
            check_name("actions", each)
        if self.timezone:
            _check_zone(self.timezone)
        if len(self.actions) > MAX_ACTIONS or len(set(self.actions)) < len(self.actions):
            raise ValueError(f"actions are at most {MAX_ACTIONS}, each named once")
        if len(self.rules) > MAX_RULES:
            raise ValueError(f"at most {MAX_RULES} rules, not {len(self.rules)}")
        for name, rule in self.rules.items():
            check_name("a rule's name", name)
            for role in set(rule.who).intersection(ROLES):
                if not getattr(self, role):
                    raise ValueError(
                        f"the rule {name!r} is for {role!r}, which nobody is: "
                        f'people.{role} = ["..."] says who'
                    )
        for (name, rule), (other_name, other) in combinations(self.rules.items(), 2):
            if _are_ambiguous(rule, other):
                raise ValueError(
                    f"the rules {name!r} and {other_name!r} are for the same people, streams and "
                    "actions at the same time: give them hours or days that don't overlap"
                )

    def _check_roles(self) -> None:
        taken: dict[str, str] = {}
        for role in ROLES:
            for who in getattr(self, role):
                check_name(role, who)
                if who in taken:
                    raise ValueError(
                        f"{who!r} is in {taken[who]} and in {role}: everybody has one role, once"
                    )
                taken[who] = role

    def role_of(self, speaker: str) -> str | None:
        """A speaker's; None: none."""
        return next((role for role in ROLES if speaker in getattr(self, role)), None)

    @property
    def named(self) -> dict[str, str]:
        """Every speaker that the table names, and the first setting where it does."""
        found: dict[str, str] = {}
        for name, rule in self.rules.items():
            for who in set(rule.who).difference(ROLES):
                found.setdefault(who, f"people.rules.{name}")
        for role in ROLES:
            for who in getattr(self, role):
                found.setdefault(who, f"people.{role}")
        return found


def check_name(what: str, name: str) -> None:
    """Raises ValueError where it can be none."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{what}: {name!r} is no name (1 to 32 of a-z 0-9 _ -)")


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f'timezone must be like "Europe/Berlin", as this machine knows them, not {name!r}'
        ) from None


def _are_ambiguous(one: Rule, other: Rule) -> bool:
    """Whether nothing tells which of them is the more specific one, for somebody at some time."""
    return (
        _share(one.who, other.who)
        and _share(one.streams, other.streams)
        and _share(one.actions, other.actions)
        and one.times.overlap(other.times)
    )


def _share(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether they name something in common, or both nothing."""
    return some == others or not set(some).isdisjoint(others)
