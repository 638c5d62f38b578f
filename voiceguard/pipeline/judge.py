"""Hops 4 and 5 in one call: the voiceprints in force, their scores, and the policy.

Pure and immutable: when a voiceprint is added or removed the daemon makes a new Judge, and every
decision is made by exactly one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voiceguard.scoring.policy import Evidence, decide
from voiceguard.types import Reason

if TYPE_CHECKING:
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.scoring.scorer import Scorer
    from voiceguard.types import Embedding, Outcome, SpeakerScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """An outcome with everything that it rests on."""

    outcome: Outcome
    reason: Reason
    speaker: str | None
    """The accepted speaker, or the claimed one in verification; else None."""
    scores: tuple[SpeakerScore, ...]
    """One trial per voiceprint, best first."""
    accept_llr: float | None
    """What an accept asked for; None without a calibration."""
    extrapolated: bool = False
    """``accept_llr`` belongs to a rate lower than the calibration's data can show."""
    p_fa: float
    net_speech_s: float
    snr_db: float
    encoder_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Scores a test utterance against every voiceprint, or the claimed one, and decides."""

    encoder_id: str
    scorer: Scorer
    policy: PolicyConfig
    calibration: Calibration | None
    claim: str | None = None
    """The claimed speaker: verification. None: open-set identification."""

    @property
    def change_cosine(self) -> float | None:
        """Successive stretches of speech less alike than this are two voices; None: unknown."""
        return None if self.calibration is None else self.calibration.change_cosine

    def judge(
        self,
        embedding: Embedding | None,
        *,
        net_speech_s: float,
        snr_db: float,
        is_final: bool = True,
        look: int = 1,
        impediment: Reason | None = None,
    ) -> Judgement:
        """One trial per voiceprint, one verdict.

        Args:
            embedding: The pooled test embedding; None where no window was long enough.
            net_speech_s: Speech behind it.
            snr_db: Estimated.
            is_final: False for a look before the segment has ended.
            look: Which one, from 1; every look spends a part of the error budget.
            impediment: A reason that forbids an accept whatever the scores say.
        """
        scores: tuple[SpeakerScore, ...] = ()
        if embedding is not None:
            scores = self.scorer.score(embedding, net_speech_s, snr_db)
        evidence = Evidence(
            net_speech_s=net_speech_s,
            snr_db=snr_db,
            is_final=is_final,
            look=look,
            impediment=impediment,
        )
        return self.decide(scores, evidence)

    def decide(self, scores: tuple[SpeakerScore, ...], evidence: Evidence) -> Judgement:
        """The verdict on trials that have been scored.

        Args:
            scores: By ``scorer``, best first: all of them, or one as if nobody else were enrolled;
                none where no window was long enough.
            evidence: What they rest on.
        """
        if not scores and evidence.impediment is None and self.scorer.speakers:
            evidence = replace(evidence, impediment=Reason.TOO_SHORT)
        verdict = decide(scores, evidence, self.policy, self.calibration, claimed=self.claim)
        return Judgement(
            outcome=verdict.outcome,
            reason=verdict.reason,
            speaker=verdict.speaker,
            scores=scores,
            accept_llr=verdict.accept_llr,
            extrapolated=verdict.extrapolated,
            p_fa=self.policy.p_fa,
            net_speech_s=evidence.net_speech_s,
            snr_db=evidence.snr_db,
            encoder_id=self.encoder_id,
        )
