"""Whether everything that rules name exists. Pure."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from voiceguard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from voiceguard.people.config import PeopleConfig
    from voiceguard.scoring.policy import PolicyConfig


def check_people(
    people: PeopleConfig,
    policy: PolicyConfig,
    *,
    streams: Collection[str],
    actions: Collection[str],
    enrolled: Collection[str] | None = None,
) -> None:
    """What lies outside of the [people] table and it needs all the same.

    Args:
        people: The table.
        policy: What rules may be stricter than.
        streams: The daemon's, by name.
        actions: That something in the settings asks for, ``people.actions`` aside.
        enrolled: Speakers; None: the daemon looks at each change of them.

    Raises:
        ConfigError: A rule names a stream, an action or a speaker that there is not, or a rate
            that would change nothing.
    """
    if twice := sorted(set(actions).intersection(people.actions)):
        raise ConfigError(
            f"people.actions: {twice[0]!r} is an action already",
            hint="people.actions are those of your own; leave it out there",
        )
    for name, rule in people.rules.items():
        where = f"people.rules.{name}"
        _check_known(where, "stream", rule.streams, streams)
        _check_known(where, "action", rule.actions, {*actions, *people.actions})
        _check_rate(where, rule.p_fa, policy)
    if enrolled is not None:
        check_enrolled(people, enrolled)


def check_enrolled(people: PeopleConfig, enrolled: Collection[str]) -> None:
    """Raises ConfigError where the table names a speaker whom there is not."""
    for who, where in people.named.items():
        _check_known(where, "speaker", (who,), enrolled)


def _check_rate(where: str, p_fa: float | None, policy: PolicyConfig) -> None:
    """Of the rule's and the policy's rate the lower one counts."""
    highest = max((policy.p_fa or 0.0, *policy.choices))
    if p_fa is not None and 0 < highest < p_fa:
        raise ConfigError(
            f"{where}: p_fa = {p_fa:g} is above policy.p_fa ({highest:g}) and would change "
            "nothing: the stricter of the two counts",
            hint="raise policy.p_fa, and state a lower one in a rule for all others",
        )


_HINTS = {
    "stream": "a stream's name stands before its source: hall=device:USB",
    "action": "actions are those of [unlock.actions] and people.actions, and `assist` where a "
    "[[wyoming.proxy]] is a gate",
    "speaker": "enroll them (`voiceguard enroll NAME`) or take the name out; until then the daemon "
    "accepts nobody",
}


def _check_known(where: str, what: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        listed = ", ".join(sorted(known)) or "none"
        others = f"did you mean {close[0]}?" if close else f"known are: {listed}"
        fault = "is not enrolled" if what == "speaker" else f"is no {what}"
        raise ConfigError(f"{where}: {name!r} {fault}; {others}", hint=_HINTS[what])
