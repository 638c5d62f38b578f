"""The [people] table: what is wrong in it, and what it names that there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from voiceguard.errors import ConfigError
from voiceguard.people.checking import check_people
from voiceguard.people.config import PeopleConfig, Rule
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

FAMILY = """
[people]
adult = ["anna", "ben"]
child = ["mia"]
actions = ["heating"]

[people.rules.children]
who = ["child"]
streams = ["kitchen"]
hours = "06:00-20:00"

[people.rules.heating]
who = ["adult"]
actions = ["heating"]
p_fa = 0.001
"""


def loaded(tmp_path: Path, text: str) -> PeopleConfig:
    file = tmp_path / "voiceguard.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file).people


def test_rules_are_read_from_a_file(tmp_path: Path) -> None:
    people = loaded(tmp_path, FAMILY)
    assert people.role_of("mia") == "child"
    assert people.rules["heating"] == Rule(who=("adult",), actions=("heating",), p_fa=0.001)
    assert people.named == {"anna": "people.adult", "ben": "people.adult", "mia": "people.child"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "[people.rules.a]\nhour = '06:00-20:00'",
            "people.rules.a.hour: there is no such setting; did you mean hours?",
        ),
        (
            "[people.rules.a]\nhours = '25:00-26:00'",
            "people.rules.a: hours: '25:00-26:00' is no time of a day",
        ),
        (
            "[people.rules.a]\nhours = '08:00-08:00'",
            "people.rules.a: hours: '08:00-08:00' lasts no time",
        ),
        ("[people.rules.a]\np_fa = 0.2", "people.rules.a: p_fa must be above 0 and at most 0.05"),
        (
            "[people.rules.a]\np_fa = 0.01\nfar_per_hour = 1",
            "people.rules.a: state either p_fa or far_per_hour, not both",
        ),
        ("[people.rules.a]\nwho = ['Anna B']", "people.rules.a: who: 'Anna B' is no name"),
        (
            "[people.rules.a]\nwho = ['anna', 'anna']",
            "people.rules.a: who names somebody or something twice",
        ),
        ("[people.rules.a]\nwho = 'anna'", "people.rules.a.who: must be a list"),
        (
            "[people.rules.a]\nwho = ['guest']",
            "people: the rule 'a' is for 'guest', which nobody is",
        ),
        ("[people.rules.'a b']", "people: a rule's name: 'a b' is no name"),
        ("[people]\nadult = ['anna']\nchild = ['anna']", "people: 'anna' is in adult and in child"),
        ("[people]\nadult = ['anna', 'anna']", "people: 'anna' is in adult and in adult"),
        ("[people]\ntimezone = 'Europe/Berlyn'", "people: timezone must be like"),
        ("[people]\ntimezone = '../../etc/passwd'", "people: timezone must be like"),
        (
            "[people]\nadults = ['anna']",
            "people.adults: there is no such setting; did you mean adult?",
        ),
        (
            "[people.rules.a]\n[people.rules.b]",
            "people: the rules 'a' and 'b' are for the same people",
        ),
        (
            (
                "[people.rules.a]\nwho = ['anna', 'ben']\nhours = '06:00-12:00'\np_fa = 0.01\n"
                "[people.rules.b]\nwho = ['ben']\nhours = '11:59-13:00'\np_fa = 0.001"
            ),
            "people: the rules 'a' and 'b' are for the same people",
        ),
        (
            "[people.rules]\n" + "\n".join(f"r{i} = {{ who = ['s{i}'] }}" for i in range(101)),
            "at most 100 rules",
        ),
    ],
)
def test_what_is_wrong_is_said_by_name(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, text)
    assert fault in str(raised.value)


@pytest.mark.parametrize(
    "other",
    [
        {"who": ("ben",)},
        {"who": ("anna",), "streams": ("hall",)},
        {"who": ("anna",), "actions": ("heating",)},
        {"who": ("anna",), "hours": "20:00-06:00"},
        {"who": ("anna",), "days": "sat, sun", "hours": "06:00-20:00"},
    ],
)
def test_rules_that_one_can_tell_apart_are_none_the_less_right(other: dict[str, Any]) -> None:
    one = Rule(who=("anna",), streams=(), hours="06:00-20:00", days="mon-fri")
    PeopleConfig(rules={"one": one, "other": Rule(**other)})


def checked(people: PeopleConfig, policy: PolicyConfig | None = None, **there: Any) -> None:  # noqa: ANN401
    there = {"streams": ["kitchen"], "actions": ["front-door"], **there}
    check_people(people, policy or PolicyConfig(), **there)


@pytest.mark.parametrize(
    ("rule", "there", "fault"),
    [
        (
            {"streams": ("kitchn",)},
            {},
            "people.rules.a: 'kitchn' is no stream; did you mean kitchen?",
        ),
        ({"actions": ("front_door",)}, {}, "'front_door' is no action; did you mean front-door?"),
        ({"actions": ("assist",)}, {}, "'assist' is no action; known are: front-door, heating"),
        (
            {"who": ("mai",)},
            {"enrolled": ["mia"]},
            "people.rules.a: 'mai' is not enrolled; did you mean mia?",
        ),
        ({"who": ("mia",)}, {"enrolled": []}, "'mia' is not enrolled; known are: none"),
        ({"p_fa": 0.02}, {}, "p_fa = 0.02 is above policy.p_fa (0.01)"),
    ],
)
def test_what_a_rule_names_and_there_is_not_is_an_error(
    rule: dict[str, Any], there: dict[str, Any], fault: str
) -> None:
    people = PeopleConfig(actions=("heating",), rules={"a": Rule(**rule)})
    with pytest.raises(ConfigError) as raised:
        checked(people, **there)
    assert fault in str(raised.value)
    assert raised.value.hint


def test_a_role_s_names_are_looked_for_as_well_and_actions_are_one_list() -> None:
    with pytest.raises(ConfigError, match=r"people\.child: 'mai' is not enrolled"):
        checked(PeopleConfig(child=("mai",)), enrolled=["mia"])
    with pytest.raises(ConfigError, match="'front-door' is an action already"):
        checked(PeopleConfig(actions=("front-door",)))
    checked(PeopleConfig(child=("mai",)))  # the daemon looks for itself


def test_a_rate_that_can_be_chosen_makes_room_for_a_rule_s() -> None:
    people = PeopleConfig(rules={"a": Rule(p_fa=0.02)})
    checked(people, PolicyConfig(p_fa_choices=(0.05,)))
    checked(people, PolicyConfig(p_fa=None, far_per_hour=1.0))
