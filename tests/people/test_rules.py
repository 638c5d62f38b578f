"""Which rule decides: the most specific one, and nobody is let in past it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from voiceguard.people.config import PeopleConfig, Rule
from voiceguard.people.rules import Rules
from voiceguard.scoring.allowance import Allowance

ROLES: dict[str, tuple[str, ...]] = {"adult": ("anna", "ben"), "child": ("mia",), "guest": ("joe",)}
NOON = datetime(2026, 12, 4, 12, tzinfo=UTC)
"""A Friday."""


def rules(**named: dict[str, Any]) -> Rules:
    """A household with these rules; ``_`` in their names stands for ``-``."""
    made = {name.replace("_", "-"): Rule(**each) for name, each in named.items()}
    return Rules(PeopleConfig(**ROLES, timezone="UTC", rules=made))


def said(
    of: Rules, who: str, stream: str = "hall", action: str | None = None, when: datetime = NOON
) -> str:
    """``+rule`` where it is allowed, ``-rule`` where not, empty where none is about it."""
    found = of.allowance(who, stream, action, when)
    return "" if found is None else f"{'+' if found.is_allowed else '-'}{found.rule}"


FAMILY = rules(
    children={"who": ("child",), "streams": ("kitchen",), "hours": "06:00-20:00"},
    door={"who": ("adult",), "actions": ("front-door",), "far_per_hour": 0.1},
    guests={"who": ("guest",), "days": "sat, sun"},
)


@pytest.mark.parametrize(
    ("who", "stream", "action", "hours_later", "expected"),
    [
        ("anna", "hall", None, 0, ""),
        ("anna", "hall", "front-door", 0, "+door"),
        ("anna", "hall", "assist", 0, ""),
        ("mia", "kitchen", None, 0, "+children"),
        ("mia", "kitchen", "assist", 0, "+children"),
        ("mia", "kitchen", None, 8, "-children"),
        ("mia", "hall", None, 0, "-children"),
        ("mia", "kitchen", "front-door", 0, "-door"),
        ("joe", "hall", None, 0, "-guests"),
        ("joe", "hall", None, 12, "+guests"),
        ("joe", "hall", "front-door", 12, "-door"),
        ("somebody-new", "hall", None, 0, ""),
        ("somebody-new", "hall", "front-door", 0, "-door"),
    ],
)
def test_a_family(
    who: str, stream: str, action: str | None, hours_later: int, expected: str
) -> None:
    """The example of the documentation."""
    assert said(FAMILY, who, stream, action, NOON + timedelta(hours=hours_later)) == expected


def test_a_person_s_own_rule_stands_before_the_role_s_and_everybody_s() -> None:
    of = rules(
        all={"hours": "06:00-22:00"},
        grown={"who": ("adult",)},
        anna={"who": ("anna",), "hours": "08:00-09:00"},
    )
    assert said(of, "anna") == "-anna"
    assert said(of, "ben") == "+grown"
    assert said(of, "mia") == "+all"
    assert said(of, "mia", when=NOON + timedelta(hours=11)) == "-all"


def test_a_stream_s_rule_stands_before_one_for_any() -> None:
    of = rules(any={"p_fa": 0.01}, kitchen={"streams": ("kitchen", "den"), "p_fa": 0.001})
    assert said(of, "anna", "kitchen") == "+kitchen"
    assert said(of, "anna", "hall") == "+any"


def test_hours_of_several_rules_add_up_and_where_none_holds_all_of_them_are_named() -> None:
    of = rules(
        morning={"who": ("mia",), "hours": "06:00-08:00"},
        evening={"who": ("mia",), "hours": "16:00-20:00", "p_fa": 0.001},
    )
    assert said(of, "mia", when=NOON - timedelta(hours=5)) == "+morning"
    assert said(of, "mia", when=NOON + timedelta(hours=5)) == "+evening"
    assert said(of, "mia") == "-morning, evening"


def test_a_rate_goes_with_its_rule() -> None:
    assert FAMILY.allowance("ben", "hall", "front-door", NOON) == Allowance(
        rule="door", is_allowed=True, far_per_hour=0.1
    )


@pytest.mark.parametrize(
    "when", [datetime(1970, 1, 1, 12, tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]
)
def test_a_clock_that_was_never_set_closes_hours_and_nothing_else(when: datetime) -> None:
    assert said(FAMILY, "mia", "kitchen", when=when) == "-children"
    assert said(FAMILY, "joe", when=when) == "-guests"
    assert said(FAMILY, "anna", action="front-door", when=when) == "+door"


def test_hours_go_by_the_wall_clock_of_the_zone() -> None:
    rule = Rule(hours="06:00-20:00")
    of = Rules(PeopleConfig(timezone="Asia/Tokyo", rules={"day": rule}))
    assert said(of, "anna", when=datetime(2026, 12, 4, 10, 59, tzinfo=UTC)) == "+day"
    assert said(of, "anna", when=datetime(2026, 12, 4, 11, 0, tzinfo=UTC)) == "-day"


def test_hours_go_by_this_machine_s_zone_where_none_is_stated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import time  # noqa: PLC0415

    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    try:
        of = Rules(PeopleConfig(rules={"day": Rule(hours="06:00-20:00")}))
        assert said(of, "anna", when=NOON - timedelta(hours=1, minutes=1)) == "-day"
        assert said(of, "anna", when=NOON - timedelta(hours=1)) == "+day"
    finally:
        monkeypatch.undo()
        time.tzset()


# --- any rules at all -------------------------------------------------------------------------

WHO = ("anna", "mia", "joe", "new")
STREAMS, ACTIONS = ("kitchen", "hall"), ("front-door", "heating")


def some(*names: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple)


any_rule = st.builds(
    Rule,
    who=some("anna", "mia", "adult", "child"),
    streams=some(*STREAMS),
    actions=some(*ACTIONS),
    hours=st.sampled_from(["", "06:00-12:01", "12:01-06:00", "22:00-23:00"]),
    days=st.sampled_from(["", "mon-fri", "sat, sun"]),
)


def specificity(
    rule: Rule, who: str, stream: str, action: str | None
) -> tuple[int, int, int] | None:
    """How specific a rule is to a question, written down a second time; None: not about it."""
    role = next((role for role, names in ROLES.items() if who in names), "")
    of_action = 1 if action in rule.actions else 0 if not rule.actions else None
    of_who = 2 if who in rule.who else 1 if role in rule.who else 0 if not rule.who else None
    if of_action is None or of_who is None:
        return None
    of_stream = 1 if stream in rule.streams else 0 if not rule.streams else -1
    return of_action, of_who, of_stream


@settings(max_examples=120)
@given(st.lists(any_rule, max_size=6), st.sampled_from([NOON, NOON + timedelta(days=1, hours=-7)]))
def test_no_combination_lets_anybody_in_whom_the_most_specific_rule_refuses(
    drawn: list[Rule], when: datetime
) -> None:
    try:
        config = PeopleConfig(
            **ROLES, timezone="UTC", rules={f"r{i}": each for i, each in enumerate(drawn)}
        )
    except ValueError as error:
        assert "same people" in str(error)  # noqa: PT017
        assume(False)
        raise
    of = Rules(config)
    for who, stream, action in itertools.product(WHO, STREAMS, (None, *ACTIONS)):
        found = of.allowance(who, stream, action, when)
        is_named = any(action in rule.actions for rule in drawn)
        ranked = {
            name: rank
            for name, rule in config.rules.items()
            if (rank := specificity(rule, who, stream, action)) is not None
            and (rank[0] == 1 or not is_named)
        }
        if not ranked:
            assert (found is None) == (not is_named)
            assert found is None or not found.is_allowed
            continue
        most = max(ranked.values())
        holding = [
            name
            for name, rank in ranked.items()
            if rank == most and most[2] >= 0 and config.rules[name].times.hold_at(when)
        ]
        assert found is not None
        assert found.is_allowed == bool(holding)
        assert len(holding) <= 1
        assert not holding or found.rule == holding[0]


def test_somebody_called_like_a_role_has_it_only_where_the_settings_say_so() -> None:
    rule = Rule(who=("guest",), actions=("front-door",))
    for guests, expected in ((("joe",), "-door"), (("joe", "guest"), "+door")):
        of = Rules(PeopleConfig(guest=guests, rules={"door": rule}))
        assert said(of, "guest", action="front-door") == expected
