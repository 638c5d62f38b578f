"""What is asked of each speaker, by policy, by people's rules, and by a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.service.people.test_marking import NOW, Home
from voiceguard.people.config import PeopleConfig, Rule
from voiceguard.scoring.adaptation import Standing
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.service.people.marking import mark
from voiceguard.service.people.thresholds import show
from voiceguard.unlock.config import UnlockAction, UnlockConfig

if TYPE_CHECKING:
    from pathlib import Path

RULES = {
    "loose": Rule(who=("ben",)),
    "anna": Rule(who=("anna",), streams=("kitchen",), p_fa=0.0001),
    "doors": Rule(who=("adult",), actions=("front-door", "assist"), far_per_hour=0.01),
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    for number in range(6):
        mark(home.settings, home.decided(number, 2.5, -3.0), "anna", NOW)
    people = PeopleConfig(adult=("anna",), child=("ben",), rules=RULES)
    home.settings = home.settings.model_copy(update={"people": people, "unlock": lock(0.001)})
    return home


def lock(p_fa: float) -> UnlockConfig:
    """A front door that opens by voice alone, so that nothing needs to be there."""
    door = UnlockAction(speakers=("anna",), level="voice", i_accept_the_risk=True, p_fa=p_fa)
    return UnlockConfig(actions={"front-door": door})


def test_rules_with_a_rate_are_listed_for_whom_they_are_about(home: Home) -> None:
    """Every way into the rules counts; a lock is never easier by marks, and has its own rate."""
    anna, ben = show(home.settings)
    assert ben.by_rules == ()
    found = {(each.rule, each.lock): each for each in anna.by_rules}
    assert list(found) == [("anna", None), ("doors", None), ("doors", "front-door")]
    assert anna.asked is not None
    assert anna.asked.standing is Standing.LOWERED
    stricter, lock = found["anna", None], found["doors", "front-door"]
    assert stricter.calibrated_llr > anna.asked.calibrated_llr + 1
    assert stricter.accept_llr == pytest.approx(stricter.calibrated_llr - 0.5)
    assert lock.accept_llr == lock.calibrated_llr
    assert lock.standing is not Standing.LOWERED


def test_a_lock_s_own_rate_counts_where_it_is_the_stricter_one(home: Home) -> None:
    def lock_llr(p_fa: float) -> float:
        anna, _ = show(home.settings.model_copy(update={"unlock": lock(p_fa)}))
        return anna.by_rules[-1].calibrated_llr

    assert lock_llr(1e-6) > lock_llr(0.01)


def test_a_lock_asks_for_no_less_than_the_policy_does(home: Home) -> None:
    def shown(p_fa: float) -> tuple[float, float]:
        policy = PolicyConfig(p_fa=p_fa, look_share=0.0)
        anna, _ = show(home.settings.model_copy(update={"policy": policy, "unlock": lock(0.01)}))
        assert anna.asked is not None
        return anna.asked.calibrated_llr, anna.by_rules[-1].calibrated_llr

    home.settings = home.settings.model_copy(
        update={"people": PeopleConfig(rules={"door": Rule(actions=("front-door",), p_fa=0.05)})}
    )
    policy_llr, lock_llr = shown(1e-5)
    assert policy_llr == lock_llr > shown(0.01)[1]


def test_without_rules_there_is_the_policy_alone(tmp_path: Path) -> None:
    assert [each.by_rules for each in show(Home(tmp_path).settings)] == [(), ()]
