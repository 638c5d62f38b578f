"""Hop 6 of 6: the one form in which a decision leaves; MQTT, ``--json`` and the history share it.

Pure. In: a Decision. Out: a JSON-ready dictionary, schema 1. A field is never given another
meaning under the same schema number; consumers ignore fields that they do not know.

| field | type | meaning |
|---|---|---|
| `schema` | integer | 1: the version of this table |
| `decision_id` | string | unique; a message that arrives twice carries the same one |
| `stream` | string | the source that was listened to |
| `segment` | integer | number of the stretch of speech within its stream, from 0 |
| `is_final` | boolean | false: provisional, while the segment still grows; a final one follows |
| `outcome` | string | `accepted`, `rejected`, `unknown`, `inconclusive` |
| `reason` | string | why: `above_threshold`, `too_short`, ... (types.Reason) |
| `speaker` | string? | the accepted speaker, or the claimed one in verification; else null |
| `speaker_name` | string? | the same as people read it |
| `scores` | array | best first: `speaker`, `name` (for people), `cosine` (-1 to 1), `normalised`
(in cohort standard deviations), `llr` (number?, natural logarithm) |
| `accept_llr` | number? | the LLR that an accept asked for; null without a calibration |
| `shift_llr` | number? | how far [marks](right-and-wrong.md) of the speaker have moved it; 0: not |
| `posterior` | number? | the probability, 0 to 1, that it was the speaker (of nobody accepted: the
nearest one), from the LLRs of all and the prior `p_target`; nothing is accepted by it |
| `p_target` | number | that prior: one of those enrolled is talking, whoever of them |
| `p_fa` | number | false accepts per final decision at that threshold, all speakers together |
| `rule` | string? | the rule for people (`[people.rules]`) that the nearest speaker went by |
| `net_speech_s` | number | speech that the decision rests on, pauses not counted |
| `snr_db` | number? | estimated speech level over noise |
| `start_s` | number | where the speech began, in seconds since the stream was opened |
| `end_s` | number | where it ended |
| `started_at` | string | UTC, ISO 8601 with milliseconds and `Z`, like every time here |
| `ended_at` | string | UTC |
| `delivered_at` | string | UTC: the last sample that the decision waited for reached the process |
| `decided_at` | string | UTC |
| `expires_at` | string | UTC: after this nobody may act on the decision |
| `encoder_id` | string | hash of the encoder that these scores come from |
| `calibration_id` | string? | hash of the calibration that made LLRs of them |
| `revokes` | string? | `decision_id` of an earlier accept that this final decision takes back |
| `turn_id` | string? | the turn with an assistant (Wyoming) that it is a part of |
| `raised_by` | string? | why `p_fa` was lower than configured: `television` played |
| `allows` | array | final ones: which of `people.actions` it is an accept for |

`string?` and `number?` may be null. Numbers are rounded; what is not finite becomes null.
"""

from __future__ import annotations

import json
import math
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from voiceguard.decisions.result import Decision, Judgement
    from voiceguard.types import SpeakerScore

SCHEMA = 1


def decision_payload(decision: Decision) -> dict[str, Any]:
    """The decision as the module docstring's table has it."""
    return {
        "schema": SCHEMA,
        "decision_id": decision.decision_id,
        "stream": decision.stream,
        "segment": decision.segment,
        "is_final": decision.is_final,
        **judgement_payload(decision.judgement),
        "start_s": rounded(decision.start_s, 3),
        "end_s": rounded(decision.end_s, 3),
        "started_at": iso_utc(decision.started_at),
        "ended_at": iso_utc(decision.ended_at),
        "delivered_at": iso_utc(decision.delivered_at),
        "decided_at": iso_utc(decision.decided_at),
        "expires_at": iso_utc(decision.expires_at),
        "encoder_id": decision.encoder_id,
        "calibration_id": decision.calibration_id,
        "revokes": decision.revokes,
        "turn_id": decision.turn_id,
        "raised_by": decision.raised_by,
        "allows": list(decision.allows),
    }


def judgement_payload(judgement: Judgement) -> dict[str, Any]:
    """What was judged and why, its encoder aside."""
    return {
        "outcome": judgement.outcome.value,
        "reason": judgement.reason.value,
        "speaker": judgement.speaker,
        "speaker_name": judgement.speaker_name,
        "scores": scores_payload(judgement.scores),
        "accept_llr": rounded(judgement.accept_llr, 3),
        "shift_llr": rounded(judgement.shift_llr, 3),
        "posterior": rounded(judgement.posterior, 6),
        "p_target": judgement.p_target,
        "p_fa": float(f"{judgement.p_fa:.4g}"),
        "rule": judgement.rule,
        "net_speech_s": rounded(judgement.net_speech_s, 3),
        "snr_db": rounded(judgement.snr_db, 1),
    }


def scores_payload(scores: Iterable[SpeakerScore]) -> list[dict[str, Any]]:
    """Trials, in their order."""
    return [_score_payload(score) for score in scores]


def _score_payload(score: SpeakerScore) -> dict[str, Any]:
    return {
        "speaker": score.speaker,
        "name": score.name,
        "cosine": rounded(score.cosine, 4),
        "normalised": rounded(score.normalised, 3),
        "llr": rounded(score.llr, 3),
    }


def rounded(value: float | None, num_digits: int) -> float | None:
    """A plain float for JSON; None where there is no finite number to tell."""
    if value is None or not math.isfinite(value):
        return None
    # A numpy float is a float by inheritance only where it is 64 bits wide.
    return round(float(value), num_digits)


def iso_utc(moment: datetime) -> str:
    """``2026-11-05T17:20:01.250Z``. Cut, not rounded: an expiry is never told too late."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_json(payload: Mapping[str, Any]) -> str:
    """One line of strict JSON (no NaN), non-ASCII names as they are written."""
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
