"""What the daemon's parts say together."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.fakes import FakeClock
from tests.pipeline.test_stream import Bench
from voiceguard.people.config import PeopleConfig, Rule
from voiceguard.pipeline.permission import Permission
from voiceguard.pipeline.television import Television, TelevisionConfig
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.service.parts import Parts
from voiceguard.testing import make_decision

TV = "home/tv/state"


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({}, 0.008),
        ({"policy_p_fa": 0.0001}, 0.0001),
        ({"policy_p_fa": 0.0001, "rule_p_fa": 0.001}, 0.0001),
        ({"rule_p_fa": 0.002}, 0.002),
        ({"is_playing": True}, 0.003),
        ({"is_playing": True, "lock_p_fa": 0.0005}, 0.0005),
    ],
)
def test_for_a_lock_the_strictest_of_all_rates_counts(
    figures: dict[str, Any], expected: float
) -> None:
    """Its own, the policy's, a rule's and the television's: docs/rules-for-people.md."""
    clock = FakeClock()
    parts = object.__new__(Parts)  # of all its parts these three
    parts.television = Television(TelevisionConfig(topics=(TV,), p_fa=0.003), clock)
    if figures.get("is_playing"):
        parts.television.take(TV, b"playing")
    rule = Rule(actions=("front-door",), p_fa=figures.get("rule_p_fa"))
    parts.permission = Permission(PeopleConfig(rules={"door": rule}), clock)
    policy = PolicyConfig(p_fa=figures.get("policy_p_fa", 0.01))
    judge = replace(Bench().judge(), policy=policy)
    parts.roster = cast("Any", SimpleNamespace(judge=judge))
    decision = make_decision(stream="hall")
    verdict = parts.verdict_for(decision, "front-door", figures.get("lock_p_fa", 0.008))
    assert verdict.p_fa == expected
