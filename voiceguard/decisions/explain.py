"""Why a decision is what it is, in a sentence or two for people.

Pure. In: a decision as :mod:`.wire` writes it, so that one out of the history can be
explained long after it was made. Out: the reason, the figures behind it, and what would help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.scoring.policy import DECISIONS_PER_HOUR
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

GOOD_SPEECH_S = 2.0
"""With less speech than this, more of it is the first thing to try."""
GOOD_SNR_DB = 10.0
"""Below it, quiet or a shorter distance is."""


def explain(payload: Mapping[str, Any]) -> str:
    """Says why, with figures and advice where there is any.

    Args:
        payload: What ``wire.decision_payload`` gives.
    """
    sentences = [_reason(payload)]
    wants_evidence = payload["reason"] in {Reason.BETWEEN_THRESHOLDS, Reason.BELOW_THRESHOLD}
    if wants_evidence and (advice := _advice(payload)):
        sentences.append(advice)
    if payload["reason"] in BY_SCORE and (shift := payload.get("shift_llr")):
        sentences.append(_moved(shift, payload["accept_llr"], payload["scores"][0]["speaker"]))
    if payload.get("raised_by") == "television":
        sentences.append("Something played (television), which asks for more certainty.")
    if payload.get("rule") and payload["reason"] != Reason.NOT_ALLOWED:
        sentences.append(f"It goes by the rule {payload['rule']}.")
    if payload.get("revokes"):
        sentences.append(f"It takes back the earlier accept {payload['revokes']}.")
    return " ".join(sentences)


def _reason(payload: Mapping[str, Any]) -> str:
    scores = payload["scores"]
    if payload["reason"] in BY_SCORE and scores:
        return _about_scores(payload, scores)
    return {
        Reason.TOO_SHORT: f"Only {payload['net_speech_s']:.1f} s of speech: "
        f"speak for {GOOD_SPEECH_S:g} s or longer.",
        Reason.TOO_NOISY: f"Too noisy: the speech was {_db(payload)} over the noise. "
        "Come closer, or turn the noise down.",
        Reason.HARDLY_SPEECH: "Nobody enrolled, and hardly a word in it: noise, perhaps.",
        Reason.MORE_THAN_ONE_VOICE: "More than one voice was heard; speak one at a time.",
        Reason.NO_VOICEPRINTS: "Nobody is enrolled whose voiceprint can be used: "
        "`voiceguard enroll NAME`, or see `voiceguard voiceprints list`.",
        Reason.UNCALIBRATED: "This encoder has no calibration, so a score says nothing about "
        "error rates and nobody is accepted: `voiceguard calibrate` makes one.",
        Reason.AUDIO_LOST: "A part of the audio was lost while it was spoken; say it again.",
        Reason.OVERLOADED: "The machine was too busy to look at this in time; "
        "see `voiceguard bench`.",
        Reason.INFERENCE_FAILED: "The encoder failed on this audio; the log tells more.",
    }.get(payload["reason"], f"Reason: {payload['reason']}.")


BY_SCORE = {
    Reason.ABOVE_THRESHOLD,
    Reason.BELOW_THRESHOLD,
    Reason.BETWEEN_THRESHOLDS,
    Reason.RUNNER_UP_TOO_CLOSE,
    Reason.NOT_ALLOWED,
}


def _about_scores(payload: Mapping[str, Any], scores: list[Mapping[str, Any]]) -> str:
    best = scores[0]
    name, llr, threshold = _name(best), best["llr"], payload["accept_llr"]
    # Each voiceprint has an equal part of the rate.
    per_hour = payload["p_fa"] * DECISIONS_PER_HOUR / len(scores)
    needed = (
        f"; more than {_llr(threshold)} needed at p_fa {100 * payload['p_fa']:g} %, about "
        f"{per_hour:.2g} false accepts per voiceprint and hour of other people's speech"
    )
    figures = f"LLR {_llr(llr)} for {name}{needed if threshold is not None else ''}"
    reason = payload["reason"]
    if reason == Reason.ABOVE_THRESHOLD:
        return f"Sounds like {name}: {figures}."
    if reason == Reason.NOT_ALLOWED:
        rule = f"the rule {payload.get('rule')}" if payload.get("rule") else "a rule"
        return (
            f"Sounds like {name}, who is not accepted here at this time: {rule} says so. {figures}."
        )
    if reason == Reason.RUNNER_UP_TOO_CLOSE and len(scores) > 1:
        second = scores[1]
        return (
            f"Could be {name} (LLR {_llr(llr)}) or {_name(second)} "
            f"(LLR {_llr(second['llr'])}): too close to tell apart."
        )
    if reason == Reason.BELOW_THRESHOLD and payload["outcome"] == Outcome.REJECTED:
        return f"Does not sound like {name}: {figures}."
    if reason == Reason.BELOW_THRESHOLD:
        return f"Sounds like nobody enrolled. The nearest: {figures}."
    return f"Too little to be sure: {figures}."


def _moved(shift_llr: float, accept_llr: float, speaker: str) -> str:
    how = "lowered" if shift_llr < 0 else "raised"
    return (
        f"Marks of right and wrong have {how} that threshold by {abs(shift_llr):.1f}, from "
        f"{_llr(accept_llr - shift_llr)}: `voiceguard voiceprints adapt {speaker}`."
    )


def _advice(payload: Mapping[str, Any]) -> str:
    if payload["net_speech_s"] < GOOD_SPEECH_S:
        return (
            f"It had only {payload['net_speech_s']:.1f} s of speech: "
            f"speak for {GOOD_SPEECH_S:g} s or longer."
        )
    snr_db = payload["snr_db"]
    if snr_db is not None and snr_db < GOOD_SNR_DB:
        return f"It was noisy ({_db(payload)}): come closer, or turn the noise down."
    best = payload["scores"][0] if payload["scores"] else {"speaker": "NAME"}
    return (
        f"If it was {_name(best)}, take this room and microphone in: "
        f"`voiceguard enroll {best['speaker']} --add`."
    )


def _name(score: Mapping[str, Any]) -> str:
    """As people read it; decisions of earlier releases have the id alone."""
    return str(score.get("name") or score["speaker"])


def _llr(llr: float | None) -> str:
    return "unknown" if llr is None else f"{llr:+.1f}"


def _db(payload: Mapping[str, Any]) -> str:
    return "an unknown level" if payload["snr_db"] is None else f"{payload['snr_db']:.0f} dB"
