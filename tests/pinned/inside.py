"""The only imports of voiceguard's inside in these tests: what no command shows.

When modules move, only the import lines here change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from voiceguard import Decision, Outcome, Reason
from voiceguard.cli.command_line import command_line
from voiceguard.decisions.history import History, HistoryConfig
from voiceguard.decisions.result import Judgement
from voiceguard.decisions.wire import decision_payload, to_json
from voiceguard.scoring.policy import Evidence, Verdict
from voiceguard.types import SpeakerScore

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "all_kinds",
    "command_line",
    "command_tree",
    "decision",
    "decision_line",
    "write_history",
]

NOON = datetime(2026, 11, 21, 12, 0, 0, 123_999, tzinfo=UTC)


def decision_line(number: int, outcome: Outcome, reason: Reason) -> str:
    """A decision as it goes over the wire, with two speakers enrolled."""
    return to_json(decision_payload(decision(number, outcome, reason)))


def all_kinds() -> list[tuple[Outcome, Reason]]:
    """Every reason, with the outcomes that go with it."""
    decided = {
        Reason.ABOVE_THRESHOLD: [Outcome.ACCEPTED],
        Reason.BELOW_THRESHOLD: [Outcome.REJECTED, Outcome.UNKNOWN],
        Reason.NOT_ALLOWED: [Outcome.REJECTED],
    }
    return [
        (outcome, reason)
        for reason in Reason
        for outcome in decided.get(reason, [Outcome.INCONCLUSIVE])
    ]


def write_history(file: Path) -> None:
    """One decision of every kind, appended as the daemon does."""
    history = History(file, HistoryConfig(max_age_days=3650.0))
    for number, (outcome, reason) in enumerate(all_kinds()):
        history.append(decision_payload(decision(number, outcome, reason)))
    history.close()


def decision(number: int, outcome: Outcome, reason: Reason) -> Decision:
    """One of two enrolled speakers, or none of them."""
    is_calibrated = reason is not Reason.UNCALIBRATED
    scores = tuple(
        SpeakerScore(speaker=name, cosine=cosine, normalised=cosine * 9, llr=llr)
        for name, cosine, llr in (
            ("ada", 0.712345, 9.87654 if is_calibrated else None),
            ("zoë", -0.1, float("-inf") if is_calibrated else None),
        )
    )
    is_refused = reason is Reason.NOT_ALLOWED
    is_accepted, is_claim = outcome is Outcome.ACCEPTED, outcome is Outcome.REJECTED
    ended_at = NOON + timedelta(minutes=number)
    return Decision(
        decision_id=f"{number:08x}-2222-4333-8444-555555555555",
        stream="kitchen",
        segment=number,
        judgement=Judgement(
            verdict=Verdict(
                outcome=outcome,
                reason=reason,
                speaker="ada" if is_accepted or (is_claim and not is_refused) else None,
                p_fa=0.001,
                accept_llr=6.907755 if is_calibrated else None,
                rule="adults" if is_refused else None,
            ),
            scores=() if reason is Reason.NO_VOICEPRINTS else scores,
            evidence=Evidence(
                net_speech_s=1.98765,
                snr_db=float("nan") if reason is Reason.AUDIO_LOST else 17.26,
                is_final=reason is not Reason.MORE_THAN_ONE_VOICE,
            ),
            encoder_id="0123456789abcdef",
        ),
        start_s=3.0,
        end_s=5.25,
        started_at=ended_at - timedelta(seconds=2.25),
        ended_at=ended_at,
        delivered_at=ended_at + timedelta(seconds=0.5),
        decided_at=ended_at + timedelta(seconds=0.52),
        expires_at=ended_at + timedelta(seconds=5.5),
        revokes="an-earlier-one" if reason is Reason.BELOW_THRESHOLD else None,
    )


def command_tree() -> dict[str, Any]:
    """Every command's words and options; their types stand in the help pages."""
    found: dict[str, Any] = {}

    def walk(command: Any, name: str) -> None:  # noqa: ANN401 - click's, or typer's copy of it
        found[name] = {
            "help": command.help,
            "options": [
                {
                    "names": [*each.opts, *each.secondary_opts],
                    "help": getattr(each, "help", None),
                    "metavar": each.metavar,
                    "default": str(each.default),
                    "is_required": each.required,
                    "is_repeatable": each.multiple or each.nargs != 1,
                }
                for each in command.params
                if "completion" not in each.opts[0]
            ],
        }
        for inner_name, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{name} {inner_name}")

    walk(command_line(load=True), "voiceguard")
    return found
