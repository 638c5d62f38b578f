"""People's rules at this moment, as judges. Event loop; nothing here waits.

In: the judge in force, and the rules of the settings. Out: the judge to ask about a stream, now and
for an action. Rules only ever take away: whom they refuse is not accepted, and of two rates the
lower one counts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voiceguard.people.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.people.config import PeopleConfig
    from voiceguard.pipeline.judge import Judge
    from voiceguard.scoring.allowance import Allowance


class Permission:
    """The rules of the settings, at the time of a clock.

    Args:
        config: The [people] table.
        clock: Whose wall clock hours go by.
    """

    def __init__(self, config: PeopleConfig, clock: Clock) -> None:
        self._rules = Rules(config)
        self._actions = config.actions
        self._clock = clock

    def judge(
        self,
        stream: str,
        judge: Judge,
        action: str | None = None,
        speakers: Iterable[str] | None = None,
    ) -> Judge:
        """The judge for a stream at this moment.

        Args:
            stream: Where somebody is heard.
            judge: As it is without rules.
            action: For what; None: for nothing in particular, as decisions are published.
            speakers: Who was scored; None: whom the judge knows.
        """
        if not (self._rules.are_there or self._actions):
            return judge
        now = self._clock.utc()
        who = tuple(judge.scorer.speakers if speakers is None else speakers)
        return replace(
            judge,
            allowances=self._allowances(who, stream, action, now),
            for_actions={
                each: self._allowances(who, stream, each, now)
                for each in self._actions
                if action is None
            },
        )

    def _allowances(
        self, speakers: tuple[str, ...], stream: str, action: str | None, now: datetime
    ) -> dict[str, Allowance]:
        found = {each: self._rules.allowance(each, stream, action, now) for each in speakers}
        return {speaker: each for speaker, each in found.items() if each is not None}

    def judge_for(self, action: str, decision: Decision, judge: Judge) -> Judge:
        """The judge for an action, of what a decision has scored.

        Args:
            action: For what.
            decision: Made by this judge or an earlier one.
            judge: As it is without rules.
        """
        scored = [each.speaker for each in decision.scores]
        return self.judge(decision.stream, judge, action, scored)

    def judged_for(self, action: str, decision: Decision, judge: Judge) -> Decision:
        """The same decision, had it been made for an action; arguments as ``judge_for``."""
        if not self._rules.are_there:
            return decision
        judge, judgement = self.judge_for(action, decision, judge), decision.judgement
        return replace(decision, judgement=judge.decide(judgement.scores, judgement.evidence))
