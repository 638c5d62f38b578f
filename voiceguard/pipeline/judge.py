"""Hops 4 and 5 of 6 in one call: the voiceprints in force, their scores, and the policy.

On the event loop. In: the test embedding of a stretch of speech, and its evidence. Out: one
Judgement. Pure and immutable: when a voiceprint is added or removed the daemon makes a new Judge,
and every decision is made by exactly one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from voiceguard.decisions.result import Judgement
from voiceguard.scoring.policy import decide
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voiceguard.scoring.adaptation import Adaptation
    from voiceguard.scoring.allowance import Allowance
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.policy import Evidence, PolicyConfig, Verdict
    from voiceguard.scoring.scorer import Scorer
    from voiceguard.types import Embedding, SpeakerScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Scores a test utterance against every voiceprint, or the claimed one, and decides."""

    encoder_id: str
    scorer: Scorer
    policy: PolicyConfig
    calibration: Calibration | None
    claim: str | None = None
    """The claimed speaker: verification. None: open-set identification."""
    raised_by: str | None = None
    """What has lowered the policy's rate for now; None: it is as configured."""
    allowances: Mapping[str, Allowance] = field(default_factory=dict)
    """What people's rules say of speakers there and then; who is not in it goes by the policy."""
    for_actions: Mapping[str, Mapping[str, Allowance]] = field(default_factory=dict)
    """Likewise for actions that final judgements say the permission of."""
    adaptations: Mapping[str, Adaptation] = field(default_factory=dict)
    """Marks of right and wrong that count, by speaker."""

    @property
    def change_cosine(self) -> float | None:
        """Successive stretches of speech less alike than this are two voices; None: unknown."""
        return None if self.calibration is None else self.calibration.change_cosine

    def judge(self, embedding: Embedding | None, evidence: Evidence) -> Judgement:
        """One trial per voiceprint, one verdict.

        Args:
            embedding: The pooled test embedding; None where no window was long enough.
            evidence: What it was made of.
        """
        return self.decide(self.score(embedding, evidence), evidence)

    def score(self, embedding: Embedding | None, evidence: Evidence) -> tuple[SpeakerScore, ...]:
        """One trial per voiceprint, best first; none without an embedding."""
        if embedding is None:
            return ()
        return self.scorer.score(embedding, evidence.net_speech_s, evidence.snr_db)

    def decide(self, scores: tuple[SpeakerScore, ...], evidence: Evidence) -> Judgement:
        """The verdict on trials that have been scored.

        Args:
            scores: By ``score``: all of them, or one as if nobody else were enrolled.
            evidence: What they rest on.
        """
        if not scores and evidence.impediment is None and self.scorer.speakers:
            evidence = replace(evidence, impediment=Reason.TOO_SHORT)
        return Judgement(
            verdict=self._verdict(scores, evidence, self.allowances),
            scores=scores,
            evidence=evidence,
            encoder_id=self.encoder_id,
            raised_by=self.raised_by,
            allows=tuple(self._allowed(scores, evidence)) if evidence.is_final else (),
            calibration_id=self.calibration.calibration_id if self.calibration else None,
        )

    def _allowed(self, scores: tuple[SpeakerScore, ...], evidence: Evidence) -> Iterator[str]:
        for action, allowances in self.for_actions.items():
            if self._verdict(scores, evidence, allowances).outcome is Outcome.ACCEPTED:
                yield action

    def _verdict(
        self,
        scores: tuple[SpeakerScore, ...],
        evidence: Evidence,
        allowances: Mapping[str, Allowance],
    ) -> Verdict:
        return decide(
            scores,
            evidence,
            self.policy,
            self.calibration,
            claimed=self.claim,
            allowances=allowances,
            adaptations=self.adaptations,
        )

    def decide_at(self, judgement: Judgement, p_fa: float) -> Verdict:
        """What a final judgement would have been at a rate of its own, all of it at the end.

        For locks: marks don't lower its threshold.

        Args:
            judgement: By this judge.
            p_fa: False accepts per final decision, all voiceprints together; where the policy's is
                lower, that one counts.
        """
        raising = {name: each.raising_only() for name, each in self.adaptations.items()}
        policy = policy_at(self.policy, p_fa, len(judgement.scores), self.calibration)
        judge = replace(self, policy=policy, adaptations=raising)
        return judge.decide(judgement.scores, judgement.evidence).verdict


def policy_at(
    policy: PolicyConfig, p_fa: float, num_voiceprints: int, calibration: Calibration | None
) -> PolicyConfig:
    """The policy at that rate or its own, whichever is lower, all of it for the final decision."""
    own = policy.p_fa_of(num_voiceprints, calibration)
    return replace(policy, p_fa=min(own, p_fa), far_per_hour=None, look_share=0.0)
