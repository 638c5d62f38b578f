"""Hop 5: the verdict. Nothing fails open, and the promised rate is kept with all its parts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.people import make_calibration
from voiceguard.scoring.allowance import Allowance
from voiceguard.scoring.policy import (
    DECISIONS_PER_HOUR,
    FAR_CEILING,
    P_FA_CEILING,
    Evidence,
    PolicyConfig,
    accept_budget,
    decide,
)
from voiceguard.types import Outcome, Reason, SpeakerScore

CALIBRATION = make_calibration()
CONFIG = PolicyConfig()
FINAL = Evidence(net_speech_s=3.0, snr_db=20.0, is_final=True)
LOOK = Evidence(net_speech_s=1.5, snr_db=20.0, is_final=False, look=1)


def scored(*llrs: float | None) -> tuple[SpeakerScore, ...]:
    """Speakers a, b, c, ... with these LLRs."""
    return tuple(
        SpeakerScore(
            speaker=chr(ord("a") + i), cosine=0.5, normalised=math.nan if v is None else v, llr=v
        )
        for i, v in enumerate(llrs)
    )


any_llr = st.one_of(st.none(), st.floats(-25, 25), st.just(math.nan), st.just(math.inf))
any_figure = st.one_of(st.floats(-5, 60), st.just(math.nan))
any_evidence = st.builds(
    Evidence,
    net_speech_s=any_figure,
    snr_db=any_figure,
    is_final=st.booleans(),
    look=st.integers(-1, 30),
    impediment=st.one_of(st.none(), st.sampled_from(Reason)),
)
any_config = st.builds(
    PolicyConfig,
    p_fa=st.floats(1e-6, P_FA_CEILING),
    p_miss=st.floats(0, 0.5),
    margin_llr=st.floats(0, 10),
    look_share=st.floats(0, 0.9),
    max_looks=st.integers(1, 40),
)


@settings(max_examples=400)
@given(
    llrs=st.lists(any_llr, max_size=5),
    evidence=any_evidence,
    config=any_config,
    is_calibrated=st.booleans(),
    claimed=st.sampled_from([None, "a", "nobody"]),
)
def test_an_accept_means_that_every_condition_was_met(
    llrs: list[float | None],
    evidence: Evidence,
    config: PolicyConfig,
    is_calibrated: bool,  # noqa: FBT001
    claimed: str | None,
) -> None:
    scores = scored(*llrs)
    calibration = CALIBRATION if is_calibrated else None
    verdict = decide(scores, evidence, config, calibration, claimed=claimed)
    if not evidence.is_final:
        assert verdict.outcome in (Outcome.ACCEPTED, Outcome.INCONCLUSIVE)
    if verdict.outcome is not Outcome.ACCEPTED:
        assert verdict.speaker == claimed
        return
    accepted = next(score for score in scores if score.speaker == verdict.speaker)
    others = [score.llr for score in scores if score is not accepted and claimed is None]
    assert is_calibrated
    assert evidence.impediment is None
    assert evidence.net_speech_s >= config.min_speech_s
    assert evidence.snr_db >= config.min_snr_db
    assert evidence.is_final or 1 <= evidence.look <= config.max_looks
    assert accepted.llr is not None
    assert verdict.accept_llr is not None
    assert accepted.llr > max(0.0, verdict.accept_llr)
    assert all(other is not None and accepted.llr - other > config.margin_llr for other in others)
    assert claimed in (None, verdict.speaker)


@pytest.mark.parametrize(
    ("scores", "evidence", "reason"),
    [
        ((), FINAL, Reason.NO_VOICEPRINTS),
        (scored(15.0), replace(FINAL, net_speech_s=0.7), Reason.TOO_SHORT),
        (scored(15.0), replace(FINAL, net_speech_s=math.nan), Reason.TOO_SHORT),
        (scored(15.0), replace(FINAL, snr_db=-1.0), Reason.TOO_NOISY),
        (scored(15.0), replace(FINAL, snr_db=math.nan), Reason.TOO_NOISY),
        (scored(None), FINAL, Reason.UNCALIBRATED),
        (scored(15.0, math.nan), FINAL, Reason.INFERENCE_FAILED),
        (scored(math.inf), FINAL, Reason.INFERENCE_FAILED),
        (scored(15.0, 14.0), FINAL, Reason.RUNNER_UP_TOO_CLOSE),
        (scored(1.0), FINAL, Reason.BETWEEN_THRESHOLDS),
        (scored(-9.0), LOOK, Reason.BETWEEN_THRESHOLDS),
        (scored(-9.0), replace(FINAL, clear_share=0.29), Reason.HARDLY_SPEECH),
        (
            scored(15.0),
            replace(FINAL, impediment=Reason.MORE_THAN_ONE_VOICE),
            Reason.MORE_THAN_ONE_VOICE,
        ),
        ((), replace(FINAL, impediment=Reason.AUDIO_LOST), Reason.AUDIO_LOST),
    ],
)
def test_what_is_missing_or_too_little_is_inconclusive_with_its_reason(
    scores: tuple[SpeakerScore, ...], evidence: Evidence, reason: Reason
) -> None:
    verdict = decide(scores, evidence, CONFIG, CALIBRATION)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, reason)
    assert verdict.speaker is None


@pytest.mark.parametrize("clear_share", [None, 0.3, 1.0])
@pytest.mark.parametrize(("claimed", "outcome"), [(None, Outcome.UNKNOWN), ("a", Outcome.REJECTED)])
def test_clear_speech_of_somebody_else_is_somebody(
    clear_share: float | None, claimed: str | None, outcome: Outcome
) -> None:
    evidence = replace(FINAL, clear_share=clear_share)
    verdict = decide(scored(-9.0), evidence, CONFIG, CALIBRATION, claimed=claimed)
    assert (verdict.outcome, verdict.reason) == (outcome, Reason.BELOW_THRESHOLD)


def test_noise_is_not_rejected_as_somebody_but_a_voice_is_accepted_however_unclear() -> None:
    unclear = replace(FINAL, clear_share=0.0)
    rejected = decide(scored(-9.0), unclear, CONFIG, CALIBRATION, claimed="a")
    assert (rejected.outcome, rejected.speaker) == (Outcome.INCONCLUSIVE, "a")
    assert decide(scored(15.0), unclear, CONFIG, CALIBRATION).outcome is Outcome.ACCEPTED


def test_without_a_calibration_nobody_is_accepted() -> None:
    verdict = decide(scored(20.0), FINAL, CONFIG, None)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.UNCALIBRATED)
    assert verdict.accept_llr is None


def test_identification_accepts_the_best_or_calls_the_voice_unknown() -> None:
    accepted = decide(scored(-3.0, 12.0, 1.0), FINAL, CONFIG, CALIBRATION)
    assert (accepted.outcome, accepted.reason) == (Outcome.ACCEPTED, Reason.ABOVE_THRESHOLD)
    assert accepted.speaker == "b"
    unknown = decide(scored(-9.0, -12.0), FINAL, CONFIG, CALIBRATION)
    assert (unknown.outcome, unknown.reason) == (Outcome.UNKNOWN, Reason.BELOW_THRESHOLD)
    assert unknown.speaker is None


def test_verification_looks_at_the_claimed_speaker_alone() -> None:
    scores = scored(-9.0, 12.0, 11.5)
    assert decide(scores, FINAL, CONFIG, CALIBRATION, claimed="b").outcome is Outcome.ACCEPTED
    rejected = decide(scores, FINAL, CONFIG, CALIBRATION, claimed="a")
    assert (rejected.outcome, rejected.speaker) == (Outcome.REJECTED, "a")
    nobody = decide(scores, FINAL, CONFIG, CALIBRATION, claimed="z")
    assert (nobody.outcome, nobody.reason) == (Outcome.INCONCLUSIVE, Reason.NO_VOICEPRINTS)
    alone = decide(scores[1:2], FINAL, CONFIG, CALIBRATION, claimed="b")
    assert alone == decide(scores, FINAL, CONFIG, CALIBRATION, claimed="b")


@given(num_voiceprints=st.integers(1, 12), p_fa=st.floats(1e-4, 0.05), smaller=st.floats(0.01, 1.0))
def test_more_voiceprints_or_a_lower_rate_never_lower_the_threshold(
    num_voiceprints: int, p_fa: float, smaller: float
) -> None:
    def threshold(count: int, rate: float, evidence: Evidence) -> float:
        config = PolicyConfig(p_fa=rate)
        found = decide(scored(*[0.5] * count), evidence, config, CALIBRATION).accept_llr
        assert found is not None
        return found

    for evidence in (FINAL, LOOK):
        here = threshold(num_voiceprints, p_fa, evidence)
        assert threshold(num_voiceprints + 1, p_fa, evidence) >= here
        assert threshold(num_voiceprints, p_fa * smaller, evidence) >= here - 1e-9
    assert threshold(num_voiceprints, p_fa, LOOK) >= threshold(num_voiceprints, p_fa, FINAL)


@given(llrs=st.lists(st.floats(-20, 20), min_size=1, max_size=5, unique=True), data=st.data())
def test_the_order_of_scores_is_irrelevant(llrs: list[float], data: st.DataObject) -> None:
    scores = scored(*llrs)
    shuffled = data.draw(st.permutations(scores))
    assert decide(shuffled, FINAL, CONFIG, CALIBRATION) == decide(
        scores, FINAL, CONFIG, CALIBRATION
    )


@given(config=any_config, num_voiceprints=st.integers(1, 20))
def test_all_looks_and_voiceprints_together_spend_no_more_than_p_fa(
    config: PolicyConfig, num_voiceprints: int
) -> None:
    final = accept_budget(config, FINAL, num_voiceprints)
    looks = [
        accept_budget(config, replace(LOOK, look=look), num_voiceprints) for look in range(-2, 60)
    ]
    spent = num_voiceprints * (final + sum(looks))
    assert spent == pytest.approx(config.p_fa)
    assert final > 0


def test_a_household_of_strangers_is_accepted_no_more_often_than_promised() -> None:
    """Simulated segments: three looks and a final decision, three voiceprints, LLRs as fitted."""
    rng = np.random.default_rng(2)
    num_segments = 4000
    config = PolicyConfig(p_fa=0.05, margin_llr=0.0, max_looks=3)
    num_accepted = 0
    for _ in range(num_segments):
        settled = rng.normal(-4.5, 3, 3)
        verdicts = [decide(scored(*settled), FINAL, config, CALIBRATION)]
        for look in (1, 2, 3):
            early = 0.8 * (settled + 4.5) + 0.6 * rng.normal(0, 3, 3) - 4.5
            evidence = replace(LOOK, look=look)
            verdicts.append(decide(scored(*early), evidence, config, CALIBRATION))
        num_accepted += any(verdict.outcome is Outcome.ACCEPTED for verdict in verdicts)
    assert 0.005 < num_accepted / num_segments <= 0.05


def test_beyond_the_last_paid_look_only_the_final_decision_accepts() -> None:
    late = replace(LOOK, look=CONFIG.max_looks + 1)
    verdict = decide(scored(20.0), late, CONFIG, CALIBRATION)
    assert (verdict.outcome, verdict.accept_llr) == (Outcome.INCONCLUSIVE, None)
    no_looks = replace(CONFIG, look_share=0.0)
    assert decide(scored(20.0), LOOK, no_looks, CALIBRATION).outcome is Outcome.INCONCLUSIVE
    assert decide(scored(19.0), LOOK, CONFIG, CALIBRATION).outcome is Outcome.ACCEPTED


def test_at_the_limits_of_evidence_there_is_enough() -> None:
    """Less speech, or more noise, is too much: exactly as much is not."""
    least = replace(FINAL, net_speech_s=CONFIG.min_speech_s, snr_db=CONFIG.min_snr_db)
    reason = decide(scored(0.0), least, CONFIG, CALIBRATION).reason
    assert reason not in {Reason.TOO_SHORT, Reason.TOO_NOISY}


def test_at_the_reject_threshold_it_is_still_between() -> None:
    verdict = decide(scored(0.0), FINAL, CONFIG, CALIBRATION)
    assert verdict.reject_llr is not None
    assert verdict.accept_llr is not None
    assert verdict.reject_llr < verdict.accept_llr
    at = decide(scored(verdict.reject_llr), FINAL, CONFIG, CALIBRATION)
    assert (at.outcome, at.reason) == (Outcome.INCONCLUSIVE, Reason.BETWEEN_THRESHOLDS)


def test_a_verdict_says_its_operating_point_whatever_it_is() -> None:
    for llr in (20.0, 0.0, -20.0):
        assert decide(scored(llr), FINAL, CONFIG, CALIBRATION).p_fa == CONFIG.p_fa
    assert decide(scored(None), FINAL, CONFIG, CALIBRATION).p_fa == CONFIG.p_fa
    late = replace(LOOK, look=CONFIG.max_looks + 1)
    assert not decide(scored(20.0), late, CONFIG, CALIBRATION).extrapolated


def test_p_miss_of_zero_leaves_nothing_between() -> None:
    config = replace(CONFIG, p_miss=0.0)
    threshold = decide(scored(0.0), FINAL, config, CALIBRATION).accept_llr
    assert threshold is not None
    for llr, outcome in (
        (threshold + 0.01, Outcome.ACCEPTED),
        (threshold, Outcome.UNKNOWN),
        (-20.0, Outcome.UNKNOWN),
    ):
        assert decide(scored(llr), FINAL, config, CALIBRATION).outcome is outcome


def test_the_reject_threshold_never_rises_above_the_accept_threshold() -> None:
    """An encoder that separates well: what is above 0 and above the tail is accepted, not both."""
    good = replace(
        CALIBRATION,
        nontarget_tails=tuple(
            replace(tail, quantiles=tuple(q - 20 for q in tail.quantiles), start=tail.start - 20)
            for tail in CALIBRATION.nontarget_tails
        ),
        target_tails=tuple(
            replace(tail, quantiles=tuple(q - 20 for q in tail.quantiles), start=tail.start - 20)
            for tail in CALIBRATION.target_tails
        ),
    )
    verdict = decide(scored(0.1), FINAL, CONFIG, good)
    assert (verdict.outcome, verdict.accept_llr, verdict.reject_llr) == (Outcome.ACCEPTED, 0.0, 0.0)
    assert decide(scored(0.0), FINAL, CONFIG, good).outcome is Outcome.UNKNOWN


def test_an_exact_tie_is_nobody_even_without_a_margin() -> None:
    verdict = decide(scored(20.0, 20.0), FINAL, replace(CONFIG, margin_llr=0.0), CALIBRATION)
    assert verdict.reason is Reason.RUNNER_UP_TOO_CLOSE


def test_a_rate_beyond_the_data_is_labelled() -> None:
    assert not decide(scored(0.0), FINAL, CONFIG, CALIBRATION).extrapolated
    strict = replace(CONFIG, p_fa=1e-4)
    assert decide(scored(0.0), FINAL, strict, CALIBRATION).extrapolated


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("p_fa", 0.0),
        ("p_fa", 0.0500001),
        ("p_fa", math.nan),
        ("p_miss", -0.1),
        ("p_miss", 0.6),
        ("min_speech_s", 0.1),
        ("min_snr_db", math.nan),
        ("margin_llr", -1.0),
        ("look_share", 1.0),
        ("max_looks", 0),
        ("expiry_s", 0.0),
    ],
)
def test_a_policy_out_of_range_is_refused_with_the_range(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{field} must be .* not {value}"):
        replace(CONFIG, **{field: value})  # type: ignore[arg-type]


def test_a_rate_per_hour_is_each_voiceprints_own() -> None:
    hourly = PolicyConfig(p_fa=None, far_per_hour=1.0)
    assert hourly.p_fa_of(1, None) == pytest.approx(1 / DECISIONS_PER_HOUR)
    measured = replace(CALIBRATION, decisions_per_hour=500.0)
    assert hourly.p_fa_of(1, measured) == pytest.approx(1 / 500)
    alone = decide(scored(12.0), FINAL, hourly, measured)
    among_three = decide(scored(12.0, -5.0, -6.0), FINAL, hourly, measured)
    assert alone.p_fa == pytest.approx(1 / 500)
    assert among_three.p_fa == pytest.approx(3 / 500)
    assert among_three.accept_llr == pytest.approx(alone.accept_llr)
    stated = decide(scored(12.0), FINAL, hourly.per_decision(1, measured), measured)
    assert stated == alone


@given(
    per_hour=st.floats(1e-6, FAR_CEILING),
    num_voiceprints=st.integers(0, 40),
    num_decisions=st.one_of(st.none(), st.floats(1, 36_000)),
)
def test_no_rate_per_hour_exceeds_the_ceiling(
    per_hour: float, num_voiceprints: int, num_decisions: float | None
) -> None:
    calibration = replace(CALIBRATION, decisions_per_hour=num_decisions)
    policy = PolicyConfig(p_fa=None, far_per_hour=per_hour)
    assert 0 < policy.p_fa_of(num_voiceprints, calibration) <= P_FA_CEILING


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ({"far_per_hour": 1.0}, "not both"),
        ({"p_fa": None}, "not none"),
        ({"p_fa": None, "far_per_hour": 0.0}, "far_per_hour must be above 0"),
        ({"p_fa": None, "far_per_hour": math.nan}, "far_per_hour must be above 0"),
        ({"p_fa": None, "far_per_hour": 61.0}, "at most 60"),
    ],
)
def test_exactly_one_rate_is_stated(rates: dict[str, float | None], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        PolicyConfig(**rates)  # type: ignore[arg-type]


any_allowance = st.builds(
    Allowance,
    rule=st.just("rule"),
    is_allowed=st.booleans(),
    p_fa=st.none() | st.floats(1e-6, P_FA_CEILING),
    far_per_hour=st.none() | st.floats(0.01, FAR_CEILING),
)


@settings(max_examples=150)
@given(
    llrs=st.lists(st.floats(-25, 25), min_size=1, max_size=5),
    evidence=any_evidence,
    config=any_config,
    allowances=st.dictionaries(st.sampled_from("abcde"), any_allowance),
)
def test_rules_only_take_away(
    llrs: list[float],
    evidence: Evidence,
    config: PolicyConfig,
    allowances: dict[str, Allowance],
) -> None:
    """Whom they refuse is not accepted, and nobody is who would not have been without them."""
    ruled = decide(scored(*llrs), evidence, config, CALIBRATION, allowances=allowances)
    plain = decide(scored(*llrs), evidence, config, CALIBRATION)
    assert ruled.p_fa <= plain.p_fa
    if ruled.outcome is Outcome.ACCEPTED:
        assert ruled.speaker is not None
        assert (plain.outcome, plain.speaker) == (ruled.outcome, ruled.speaker)
        assert ruled.speaker not in allowances or allowances[ruled.speaker].is_allowed
    else:
        assert ruled.speaker is None
    if not evidence.is_final:
        assert ruled.outcome in (Outcome.ACCEPTED, Outcome.INCONCLUSIVE)
    if ruled.reason is Reason.NOT_ALLOWED and evidence.impediment is None:
        assert ruled.rule == "rule"


def test_where_a_rule_refuses_the_best_one_the_second_is_not_accepted_in_their_place() -> None:
    refused = {"a": Allowance(rule="night", is_allowed=False)}
    for evidence, outcome in (
        (FINAL, Outcome.REJECTED),
        (replace(LOOK, net_speech_s=2.5), Outcome.INCONCLUSIVE),
    ):
        verdict = decide(scored(25.0, 20.0), evidence, CONFIG, CALIBRATION, allowances=refused)
        assert (verdict.outcome, verdict.reason) == (outcome, Reason.NOT_ALLOWED)
        assert (verdict.speaker, verdict.rule) == (None, "night")


def test_a_rule_s_rate_per_hour_is_one_of_each_voiceprint() -> None:
    allowance = Allowance(rule="door", is_allowed=True, far_per_hour=0.1)
    verdict = decide(scored(25.0, -9.0), FINAL, CONFIG, CALIBRATION, allowances={"a": allowance})
    measured = CALIBRATION.decisions_per_hour or DECISIONS_PER_HOUR
    assert verdict.p_fa == pytest.approx(2 * 0.1 / measured)
    assert verdict.rule == "door"
