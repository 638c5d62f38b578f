"""Hop 5 of 6: scores become a verdict at a stated error rate.

Pure, on the event loop. In: the scores of hop 4, and how much evidence they rest on. Out: a
``Verdict``, which the pipeline turns into a decision. Nothing here ever fails open: whatever is
missing, too little or not finite is inconclusive, with its reason.

How the promise is kept: a segment may be accepted by one of several provisional looks or by its
final decision, against any voiceprint. By the union bound the chance that a stranger is accepted
at all is at most the sum over all of these, so ``p_fa`` is divided: ``look_share`` of it evenly
among the first ``max_looks`` looks, the rest to the final decision, and each part evenly among
the voiceprints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from voiceguard.scoring.adaptation import Adaptation, Moved, Standing
from voiceguard.types import Outcome, Reason, SpeakerScore
from voiceguard.validation.ranges import Between, SettingsTable, check_range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voiceguard.scoring.allowance import Allowance
    from voiceguard.scoring.calibration import Calibration

P_FA_CEILING = 0.05
"""No configuration may promise less than this."""
FAR_CEILING = 60.0
DECISIONS_PER_HOUR = 1300.0
"""Final decisions that an hour of other people's uninterrupted speech makes, where a calibration
has not measured it: an utterance of the corpora at hand has 2.8 s of speech."""

LEAST_CLEAR_SHARE = 0.3
"""With less, nobody is said to be unknown: a crying baby or a chainsaw is not somebody. Chosen on
noise of the split train: of 44 segments that are long enough for a decision 35 have less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig(SettingsTable):
    """When to accept, the [policy] table of voiceguard.toml."""

    p_fa: Annotated[float | None, Between(0, P_FA_CEILING, is_low_excluded=True)] = 0.01
    """False accepts per final decision about a stranger, all voiceprints together; <= 0.05. None
    where far_per_hour is stated."""
    far_per_hour: Annotated[float | None, Between(0, FAR_CEILING, is_low_excluded=True)] = None
    """Instead of p_fa: false accepts per hour of other people's uninterrupted speech, and
    voiceprint; never more than p_fa = 0.05 would be."""
    p_fa_choices: tuple[float, ...] = ()
    """Rates, each as p_fa, among which Home Assistant and the command ``p_fa`` may choose while it
    runs; the choice outlasts a restart. Empty: nobody at the broker changes p_fa."""
    p_miss: Annotated[float, Between(0, 0.5)] = 0.05
    """An enrolled speaker's segments that may be called rejected or unknown; what lies between is
    inconclusive. 0: there is no between, everything that is not accepted is rejected or unknown."""
    min_speech_s: Annotated[float, Between(0.5, 10)] = 0.8
    """Less net speech is inconclusive."""
    min_snr_db: Annotated[float, Between(-20, 60)] = 0.0
    """Noisier speech is inconclusive."""
    margin_llr: Annotated[float, Between(0, 10)] = 2.0
    """How far the best voiceprint must lead the runner-up: 2 is 7 times likelier. Only where
    several are enrolled."""
    look_share: Annotated[float, Between(0, 0.9)] = 0.3
    """Share of p_fa that accepting before the end of the speech may use. 0: only at the end."""
    look_from_s: Annotated[float, Between(0.5, 10)] = 2.0
    """Net speech before the first provisional look; earlier, it would be spent on less evidence."""
    max_looks: Annotated[int, Between(1, 100)] = 1
    """Provisional looks at a segment; each gets an equal part of that share."""
    p_target: Annotated[float, Between(0.001, 0.999)] = 0.5
    """How likely it is, before anything is heard, that one of the enrolled speakers is talking: the
    prior of the ``posterior`` that is published. Nothing is accepted by it."""
    expiry_s: Annotated[float, Between(0.5, 60)] = 5.0
    """How long after it was made a decision may be acted on."""

    def __post_init__(self) -> None:
        SettingsTable.__post_init__(self)
        if (self.p_fa is None) == (self.far_per_hour is None):
            raise ValueError(
                "state either p_fa or far_per_hour, not "
                + ("none of them" if self.p_fa is None else "both")
            )
        if self.p_fa_choices and self.p_fa is None:
            raise ValueError("p_fa_choices are rates per decision, and far_per_hour is stated")
        for each in self.p_fa_choices:
            check_range(
                "each of p_fa_choices", each, Between(0, P_FA_CEILING, is_low_excluded=True)
            )

    @property
    def choices(self) -> tuple[float, ...]:
        """Every p_fa that may be chosen, the stated one among them; empty: none."""
        if self.p_fa is None or not self.p_fa_choices:
            return ()
        return tuple(sorted({*self.p_fa_choices, self.p_fa}))

    def per_decision(self, num_voiceprints: int, calibration: Calibration | None) -> PolicyConfig:
        """The same policy with its rate stated per final decision."""
        p_fa = self.p_fa_of(num_voiceprints, calibration)
        return replace(self, p_fa=p_fa, far_per_hour=None)

    def p_fa_of(self, num_voiceprints: int, calibration: Calibration | None) -> float:
        """False accepts per final decision, all voiceprints together; at most P_FA_CEILING.

        Args:
            num_voiceprints: In force.
            calibration: Says how many decisions an hour of speech makes.
        """
        if self.p_fa is not None:
            return self.p_fa
        assert self.far_per_hour is not None
        measured = None if calibration is None else calibration.decisions_per_hour
        num_decisions = measured or DECISIONS_PER_HOUR
        return min(P_FA_CEILING, self.far_per_hour * max(1, num_voiceprints) / num_decisions)

    def stricter(
        self, allowance: Allowance, num_voiceprints: int, calibration: Calibration | None
    ) -> PolicyConfig:
        """The same policy at the lowest of the rates that it and a speaker's allowance state.

        Each voiceprint's part is what it would be if everybody's rate were this one, so that all
        together stay below the highest of them.
        """
        policy = self.per_decision(num_voiceprints, calibration)
        rates = [policy.p_fa, allowance.p_fa]
        if allowance.far_per_hour is not None:
            hourly = replace(self, p_fa=None, p_fa_choices=(), far_per_hour=allowance.far_per_hour)
            rates.append(hourly.p_fa_of(num_voiceprints, calibration))
        return replace(policy, p_fa=min(rate for rate in rates if rate is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict rests on, the scores aside."""

    net_speech_s: float
    snr_db: float
    is_final: bool
    look: int = 1
    """Of provisional verdicts: which look at this segment, from 1. Ignored in the final one."""
    impediment: Reason | None = None
    """What forbids an accept whatever the scores say: a second voice, lost audio, overload."""
    clear_share: float | None = None
    """How much of the speech a speech model was sure of; None: nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An outcome, its reason, and the figures behind it.

    A provisional verdict is accepted or inconclusive, nothing else: that somebody is *not* the
    speaker is only said once all of their speech was heard.
    """

    outcome: Outcome
    reason: Reason
    speaker: str | None
    """The accepted or claimed one."""
    p_fa: float
    """The operating point: per final decision, all voiceprints and looks; far_per_hour as such."""
    accept_llr: float | None = None
    """LLRs strictly above it accept; None where no threshold applied."""
    reject_llr: float | None = None
    """LLRs strictly below it reject."""
    extrapolated: bool = False
    """accept_llr belongs to a rate lower than the test data can show."""
    p_target: float = 0.5
    """The prior of ``posterior``."""
    rule: str | None = None
    """People's rule by which the speaker went that was compared with thresholds; None: none."""
    shift_llr: float = 0.0
    """How far marks of the speaker have moved accept_llr from what was calibrated."""


def decide(
    scores: Sequence[SpeakerScore],
    evidence: Evidence,
    config: PolicyConfig,
    calibration: Calibration | None,
    *,
    claimed: str | None = None,
    allowances: Mapping[str, Allowance] | None = None,
    adaptations: Mapping[str, Adaptation] | None = None,
) -> Verdict:
    """Open set: which of the enrolled speakers is it, or none? With a claim: is it that one?

    Args:
        scores: One per voiceprint, in any order. With a claim only the claimed one's counts.
        evidence: What they rest on.
        config: The policy.
        calibration: The one that made the LLRs.
        claimed: The speaker that the voice is claimed to be; None: open-set identification.
        allowances: What rules say of speakers, by name. Who sounds most like it goes by their own:
            where that refuses, nobody else is accepted in their place.
        adaptations: Marks, by the speaker whose threshold they move.

    Returns:
        Open set: accepted with a speaker, unknown or not allowed (rejected; both final only), or
        inconclusive. Claim: accepted, rejected (final only), or inconclusive, always with the
        claimed speaker.
    """
    # By name last, so that equal scores don't depend on the order they came in.
    ranked = sorted(
        (score for score in scores if claimed in (None, score.speaker)),
        key=lambda score: (-_llr_or_lowest(score), score.speaker),
    )
    llrs = [score.llr for score in ranked]
    p_fa = config.p_fa_of(len(llrs), calibration)
    obstacle = _obstacle(llrs, evidence, config, calibration)
    if obstacle is not None or calibration is None:
        return _impeded(obstacle or Reason.UNCALIBRATED, claimed, p_fa, config)
    best, *others = (llr for llr in llrs if llr is not None)
    allowance = (allowances or {}).get(ranked[0].speaker)
    if allowance is not None:
        config = config.stricter(allowance, len(llrs), calibration)
        p_fa = config.p_fa_of(len(llrs), calibration)
    budget = accept_budget(config, evidence, len(llrs), calibration)
    anchor_llr, extrapolated = _accept_threshold(budget, calibration)
    adaptation = (adaptations or {}).get(ranked[0].speaker)
    accept_llr = _moved(anchor_llr, evidence, config, len(llrs), calibration, adaptation).llr
    reject_llr = _reject_threshold(evidence, config, calibration, accept_llr)
    lead = best - others[0] if others else math.inf
    outcome, reason = _compare(best, lead, accept_llr, reject_llr, config)
    if outcome is Outcome.ACCEPTED and allowance is not None and not allowance.is_allowed:
        outcome, reason = _refusal(evidence), Reason.NOT_ALLOWED
    if outcome is Outcome.UNKNOWN:
        outcome, reason = _nobody(evidence, claimed)
    return Verdict(
        outcome=outcome,
        reason=reason,
        speaker=ranked[0].speaker if outcome is Outcome.ACCEPTED else claimed,
        p_fa=p_fa,
        accept_llr=accept_llr if math.isfinite(accept_llr) else None,
        reject_llr=reject_llr,
        extrapolated=extrapolated,
        p_target=config.p_target,
        rule=None if allowance is None else allowance.rule,
        shift_llr=accept_llr - anchor_llr if math.isfinite(anchor_llr) else 0.0,
    )


def _impeded(reason: Reason, claimed: str | None, p_fa: float, config: PolicyConfig) -> Verdict:
    """Nothing can be compared with a threshold."""
    return Verdict(
        outcome=Outcome.INCONCLUSIVE,
        reason=reason,
        speaker=claimed,
        p_fa=p_fa,
        p_target=config.p_target,
    )


def final_threshold(
    config: PolicyConfig,
    num_voiceprints: int,
    calibration: Calibration,
    adaptation: Adaptation | None,
) -> tuple[float, Moved]:
    """What final decisions about one speaker ask for: as calibrated, and as marks have it."""
    evidence = Evidence(net_speech_s=math.inf, snr_db=math.inf, is_final=True)
    budget = accept_budget(config, evidence, num_voiceprints, calibration)
    anchor_llr, _ = _accept_threshold(budget, calibration)
    return anchor_llr, _moved(
        anchor_llr, evidence, config, num_voiceprints, calibration, adaptation
    )


def accept_budget(
    config: PolicyConfig,
    evidence: Evidence,
    num_voiceprints: int,
    calibration: Calibration | None = None,
) -> float:
    """The part of p_fa that one voiceprint may use in this verdict; 0: nothing is left."""
    if evidence.is_final:
        share = 1.0 - config.look_share
    elif 1 <= evidence.look <= config.max_looks:
        share = config.look_share / config.max_looks
    else:
        share = 0.0
    return config.p_fa_of(num_voiceprints, calibration) * share / num_voiceprints


def _compare(
    best: float, lead: float, accept_llr: float, reject_llr: float | None, config: PolicyConfig
) -> tuple[Outcome, Reason]:
    if best > accept_llr:
        # At most: with a margin of 0 an exact tie is still nobody in particular.
        if lead <= config.margin_llr:
            return Outcome.INCONCLUSIVE, Reason.RUNNER_UP_TOO_CLOSE
        return Outcome.ACCEPTED, Reason.ABOVE_THRESHOLD
    if reject_llr is not None and (best < reject_llr or reject_llr == accept_llr):
        return Outcome.UNKNOWN, Reason.BELOW_THRESHOLD
    return Outcome.INCONCLUSIVE, Reason.BETWEEN_THRESHOLDS


def _nobody(evidence: Evidence, claimed: str | None) -> tuple[Outcome, Reason]:
    """It is none of the enrolled speakers; whether it is anybody is another question."""
    if evidence.clear_share is not None and evidence.clear_share < LEAST_CLEAR_SHARE:
        return Outcome.INCONCLUSIVE, Reason.HARDLY_SPEECH
    outcome = Outcome.UNKNOWN if claimed is None else Outcome.REJECTED
    return outcome, Reason.BELOW_THRESHOLD


def _refusal(evidence: Evidence) -> Outcome:
    """As with strangers, only the last word says that somebody is not accepted."""
    return Outcome.REJECTED if evidence.is_final else Outcome.INCONCLUSIVE


def _obstacle(
    llrs: Sequence[float | None],
    evidence: Evidence,
    config: PolicyConfig,
    calibration: Calibration | None,
) -> Reason | None:
    """Why no threshold can be applied. Comparisons are written so that NaN is an obstacle."""
    finite = all(llr is not None and math.isfinite(llr) for llr in llrs)
    obstacles = (
        (evidence.impediment is not None, evidence.impediment),
        (not llrs, Reason.NO_VOICEPRINTS),
        (not evidence.net_speech_s >= config.min_speech_s, Reason.TOO_SHORT),
        (not evidence.snr_db >= config.min_snr_db, Reason.TOO_NOISY),
        (calibration is None or None in llrs, Reason.UNCALIBRATED),
        (not finite, Reason.INFERENCE_FAILED),
    )
    return next((reason for stands, reason in obstacles if stands), None)


def _accept_threshold(budget: float, calibration: Calibration) -> tuple[float, bool]:
    """Infinite where the budget is spent. Never below 0: there the evidence speaks against them."""
    if budget <= 0:
        return math.inf, False
    threshold = calibration.threshold_for(budget)
    return max(threshold.llr, 0.0), threshold.extrapolated


def _moved(
    anchor_llr: float,
    evidence: Evidence,
    config: PolicyConfig,
    num_voiceprints: int,
    calibration: Calibration,
    adaptation: Adaptation | None,
) -> Moved:
    """Where a speaker's marks have it; like the anchor never below 0.

    Only final verdicts are made laxer: what strangers, as counted, leave of p_fa at the looks is
    the final verdict's to use.
    """
    if adaptation is None or not math.isfinite(anchor_llr):
        return Moved(anchor_llr, Standing.NO_MARKS)
    floor_llr = None
    if evidence.is_final:
        rate = config.p_fa_of(num_voiceprints, calibration) / num_voiceprints
        look = replace(evidence, is_final=False, look=1)
        budget = accept_budget(config, look, num_voiceprints, calibration)
        if budget > 0:
            look_llr, _ = _accept_threshold(budget, calibration)
            rate -= config.max_looks * min(budget, calibration.counted_rate(look_llr))
        floor_llr = calibration.floor_for(rate)
    return adaptation.moved(anchor_llr, None if floor_llr is None else max(floor_llr, 0.0))


def _reject_threshold(
    evidence: Evidence, config: PolicyConfig, calibration: Calibration, accept_llr: float
) -> float | None:
    """None before the end. Not divided among voiceprints: their best LLR is at least the target's.

    An encoder that separates well has both thresholds crossed; then nothing lies between.
    """
    if not evidence.is_final:
        return None
    if config.p_miss == 0:
        return accept_llr
    return min(calibration.threshold_for_miss(config.p_miss).llr, accept_llr)


def _llr_or_lowest(score: SpeakerScore) -> float:
    return -math.inf if score.llr is None or math.isnan(score.llr) else score.llr
