"""Rules at work: on a stream, for actions, beside a television and a chosen rate."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.fakes import NOON, CollectingSink, FakeClock, chunks, make_decision, quiet, tone
from tests.pipeline.test_stream import ANNA_HZ, Bench, scene
from voiceguard.decisions.wire import decision_payload
from voiceguard.people.config import PeopleConfig, Rule
from voiceguard.pipeline.permission import Permission
from voiceguard.pipeline.television import raised
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from voiceguard.decisions.result import Decision
    from voiceguard.pipeline.judge import Judge

DAY = PeopleConfig(timezone="UTC", rules={"day": Rule(hours="06:00-20:00")})
FRIDAY = datetime(2026, 12, 4, tzinfo=UTC)


class Ruled(Bench):
    """Anna at a microphone, under rules."""

    people = PeopleConfig()

    def at_this_moment(self, judge: Judge) -> Judge:
        return Permission(self.people, self.clock).judge("kitchen", judge)


async def heard(people: PeopleConfig, moment: datetime) -> list[dict[str, object]]:
    """What is published of three seconds of Anna."""
    bench = Ruled(clock=FakeClock(set_by_s=(moment - NOON).total_seconds()))
    bench.people = people
    await bench.run(chunks(scene(tone(ANNA_HZ, 3.0), quiet(1.0))))
    return [decision_payload(each) for each in bench.sink.decisions]


async def test_inside_of_the_hours_she_is_accepted_and_the_rule_is_named() -> None:
    *_, final = await heard(DAY, FRIDAY + timedelta(hours=12))
    assert (final["outcome"], final["speaker"], final["rule"]) == ("accepted", "anna", "day")


@pytest.mark.parametrize(
    "moment", [FRIDAY + timedelta(hours=21), datetime(1970, 1, 1, 12, tzinfo=UTC)]
)
async def test_outside_of_them_or_by_no_clock_she_never_is(moment: datetime) -> None:
    decisions = await heard(DAY, moment)
    assert {each["outcome"] for each in decisions} <= {"inconclusive", "rejected"}
    assert all(each["speaker"] is None for each in decisions)
    final = decisions[-1]
    assert (final["outcome"], final["reason"], final["rule"]) == ("rejected", "not_allowed", "day")


async def test_without_rules_there_is_no_difference() -> None:
    judge = Bench().judge()
    assert Permission(PeopleConfig(), FakeClock()).judge("kitchen", judge) is judge


async def test_a_final_decision_says_which_of_the_home_s_own_actions_it_allows() -> None:
    people = PeopleConfig(
        timezone="UTC",
        actions=("heating", "music", "shutters"),
        rules={
            "day": Rule(hours="06:00-20:00"),
            "heating": Rule(actions=("heating",), who=("ben",)),
            "music": Rule(actions=("music",)),
        },
    )
    *_, by_day = await heard(people, FRIDAY + timedelta(hours=12))
    assert by_day["allows"] == ["music", "shutters"]
    *_, by_night = await heard(people, FRIDAY + timedelta(hours=21))
    assert (by_night["outcome"], by_night["allows"]) == ("rejected", ["music"])


@pytest.mark.parametrize(
    ("stated", "others", "in_force"), [(0.001, 0.01, 0.001), (0.01, 0.001, 0.001)]
)
def test_of_a_rule_s_rate_and_any_other_the_stricter_one_counts(
    stated: float, others: float, in_force: float
) -> None:
    """Whether a television lowered it, or somebody chose it in Home Assistant."""
    people = PeopleConfig(rules={"strict": Rule(p_fa=stated)})
    permission, judge = Permission(people, FakeClock()), Bench().judge()
    decision = make_decision()
    chosen = replace(judge, policy=replace(judge.policy, p_fa=others))
    for each in (chosen, raised(judge, others)):
        ruled = permission.judge("kitchen", each)
        scores = (replace(decision.scores[0], speaker="anna", llr=20.0),)
        verdict = ruled.decide(scores, decision.judgement.evidence).verdict
        assert (verdict.p_fa, verdict.rule) == (in_force, "strict")


def test_what_was_decided_is_decided_anew_for_an_action() -> None:
    people = PeopleConfig(rules={"door": Rule(actions=("front-door",), who=("ben",))})
    permission, judge = Permission(people, FakeClock()), Bench().judge()
    accepted = make_decision()
    score = replace(accepted.scores[0], speaker="anna", llr=20.0)
    accepted = replace(accepted, judgement=replace(accepted.judgement, scores=(score,)))
    assert permission.judged_for("assist", accepted, judge).outcome is Outcome.ACCEPTED
    refused = permission.judged_for("front-door", accepted, judge)
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, Reason.NOT_ALLOWED)
    assert refused.rule == "door"


def test_somebody_who_was_removed_meanwhile_goes_by_rules_all_the_same() -> None:
    people = PeopleConfig(rules={"door": Rule(actions=("front-door",), who=("ben",))})
    decision = make_decision()
    score = replace(decision.scores[0], speaker="gone", llr=20.0)
    decision = replace(decision, judgement=replace(decision.judgement, scores=(score,)))
    permission = Permission(people, FakeClock())
    assert permission.judged_for("front-door", decision, Bench().judge()).speaker is None


def test_a_wall_clock_that_is_set_takes_hours_with_it_and_never_opens_them_by_being_wrong() -> None:
    """Forward, back, to the year 1970, and into the night again: what it shows counts."""
    clock = FakeClock(set_by_s=(FRIDAY + timedelta(hours=12) - NOON).total_seconds())
    permission, judge = Permission(DAY, clock), Bench().judge()

    def allowed() -> bool:
        return permission.judge("kitchen", judge).allowances["anna"].is_allowed

    assert allowed()
    clock.set_by_s += 9 * 3600
    assert not allowed()
    clock.set_by_s -= 9 * 3600
    assert allowed()
    clock.set_by_s = -NOON.timestamp() + 12 * 3600
    assert not allowed()
    clock.set_by_s, clock.slept_s = (FRIDAY + timedelta(hours=19) - NOON).total_seconds(), 7200.0
    assert not allowed()


class AfterIt(CollectingSink):
    """A minute passes after the provisional accept."""

    clock: FakeClock

    def publish(self, decision: Decision) -> None:
        super().publish(decision)
        if decision.outcome is Outcome.ACCEPTED:
            self.clock.set_by_s += 60


async def test_what_was_accepted_before_the_hour_is_taken_back_after_it() -> None:
    """She begins a minute before eight and ends after it."""
    before = FRIDAY + timedelta(hours=19, minutes=59)
    bench = Ruled(clock=FakeClock(set_by_s=(before - NOON).total_seconds()), sink=AfterIt())
    bench.sink.clock = bench.clock  # type: ignore[attr-defined]
    bench.people = DAY
    await bench.run(chunks(scene(tone(ANNA_HZ, 3.0), quiet(1.0))))
    early, final = bench.sink.decisions[-2:]
    assert (early.is_final, early.outcome) == (False, Outcome.ACCEPTED)
    assert (final.outcome, final.reason) == (Outcome.REJECTED, Reason.NOT_ALLOWED)
    assert final.revokes == early.decision_id
