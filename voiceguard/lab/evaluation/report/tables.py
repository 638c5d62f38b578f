"""Figures as tables for people and as plain values for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from voiceguard.lab.evaluation.daemon.figures import P_FAS
from voiceguard.lab.evaluation.daemon.hourly import accepts_per_hour
from voiceguard.lab.evaluation.report.corpus_tables import corpus_table, household_table
from voiceguard.lab.evaluation.report.layout import interval, make_table, percent, plain, policy
from voiceguard.lab.fitting.trials import Kind
from voiceguard.types import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.lab.evaluation.daemon.decisions import DecisionFigures
    from voiceguard.lab.evaluation.daemon.evaluation import Evaluation
    from voiceguard.lab.evaluation.daemon.figures import ScoreFigures
    from voiceguard.lab.evaluation.daemon.hourly import HourlyAccepts
    from voiceguard.lab.evaluation.daemon.predictions import PredictionCheck
    from voiceguard.lab.evaluation.daemon.promises import HourFigures, PromiseFigures, TimeFigures
    from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation


def daemon_tables(evaluation: Evaluation) -> list[Table]:
    """Everything about the daemon's path, the shipped policy's decisions only."""
    shipped = [row for row in evaluation.decisions if row.p_fa == evaluation.shipped_p_fa]
    return [
        score_table(evaluation.scores, str(evaluation.choice.judged)),
        decision_table(shipped, evaluation.shipped_p_fa),
        corpus_table(evaluation.by_corpus, evaluation.shipped_p_fa),
        *([household_table(evaluation.households)] if evaluation.households else ()),
        promise_table(evaluation.promises, evaluation.shipped_p_fa),
        hour_table(evaluation.hours, evaluation.shipped_p_fa),
        hourly_table(accepts_per_hour(evaluation.llrs)),
        time_table(evaluation.times, evaluation.shipped_p_fa),
        *([prediction_table(evaluation.predictions)] if evaluation.predictions else ()),
    ]


def eer_table(encoders: EncoderEvaluation) -> Table:
    """Condition by length: the encoders beside each other, in brief."""
    table = make_table(
        "Equal error rates at a glance",
        "in %, with the 95 % interval for other speakers; the mean of the corpora",
        ["condition", "encoder"],
        encoders.lengths,
    )
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in encoders.figures:  # of each encoder, condition and length the mean comes first
        line = cells.setdefault((row.condition, f"{row.label}, {row.scoring}"), {})
        interval = row.eer_interval
        span = "" if interval is None else " ({}-{})".format(*(percent(end) for end in interval))
        line.setdefault(row.length, percent(row.eer) + span)
    for condition, encoder in sorted(cells, key=lambda key: encoders.conditions.index(key[0])):
        line = cells[condition, encoder]
        table.add_row(condition, encoder, *(line.get(length, "-") for length in encoders.lengths))
    return table


def score_table(figures: Sequence[ScoreFigures], judged: str = "crossed") -> Table:
    """One line per condition: how well scores separate, and how well calibration keeps its word."""
    table = make_table(
        f"The daemon's scores, {judged} calibration",
        "rates in %; minDCF and actDCF at p_target 0.01; Cllr in bits; FA: false accepts at the "
        "threshold that was promised for that rate; pairs: of different speakers",
        ["condition"],
        [
            *("targets", "strangers", "pairs", "EER", "same", "other", "minDCF", "actDCF"),
            *("Cllr_min", "Cllr", *(f"FA@{100 * rate:g}%" for rate in P_FAS)),
        ],
    )
    for row in figures:
        table.add_row(
            row.condition,
            str(row.num_target),
            str(row.num_nontarget),
            str(row.num_pairs),
            percent(row.eer),
            percent(row.eer_same_session),
            percent(row.eer_cross_session),
            f"{row.min_dcf:.2f}",
            f"{row.act_dcf:.2f}",
            f"{row.min_cllr:.2f}",
            f"{row.cllr:.2f}",
            *(percent(rate, 2) for rate in row.false_accepts),
        )
    return table


_UNSCORED = (Reason.TOO_SHORT, Reason.MORE_THAN_ONE_VOICE)
"""Reasons that no score plays a part in."""


def decision_table(figures: Sequence[DecisionFigures], p_fa: float) -> Table:
    """One line per condition and kind of trial: what the daemon would have said."""
    table = make_table(
        f"Final decisions at p_fa {p_fa:g}, one voiceprint enrolled at a time",
        "in % of the trials; 95 %: interval of the accepts, for other speakers; early: accepted "
        "by a provisional result; short, two: inconclusive for too little speech, for two voices",
        ["condition", "who speaks"],
        ["trials", "accepted", "95 %", "early", "rejected", "inconcl.", "short", "two", "unheard"],
    )
    for row in figures:
        digits = 2 if row.kind is Kind.STRANGER else 1
        table.add_row(
            row.condition,
            str(row.kind),
            str(row.num_trials),
            percent(row.accepted.value, digits),
            interval(row.accepted, digits),
            percent(row.accepted_early, digits),
            percent(row.rejected),
            percent(row.inconclusive),
            *(percent(row.inconclusive_reasons.get(why, 0) / row.num_trials) for why in _UNSCORED),
            percent(row.not_heard),
        )
    return table


def promise_table(rows: Sequence[PromiseFigures], shipped_p_fa: float) -> Table:
    """What was promised, and what strangers got."""
    table = make_table(
        "Promises: false accepts per decision about a stranger, all lengths of speech",
        "in %; bound: one-sided 95 %, for other speakers; + early: provisional accepts counted as "
        "well; kept: bound at most twice the promise, and the median corpus within it; speakers: "
        "in one corpus, to calibrate this rate without extrapolating",
        ["p_fa", "condition"],
        [
            *("promised", "measured", "95 %", "bound", "+ early", "bound", "median corpus"),
            *("worst length", "pairs", "extrapolated", "speakers", "promise"),
        ],
    )
    for row in rows:
        table.add_row(
            policy(row.p_fa, shipped_p_fa),
            row.noise,
            percent(row.p_fa, 2),
            percent(row.final.value, 2),
            interval(row.final, 2),
            percent(row.final.upper, 2),
            percent(row.ever.value, 2),
            percent(row.ever.upper, 2),
            percent(row.median_corpus, 2),
            f"{percent(row.worst_length_rate, 2)} ({row.worst_length})",
            str(row.final.num_pairs),
            "yes" if row.extrapolated else "no",
            str(row.speakers_needed),
            str(row.standing),
        )
    return table


def hour_table(rows: Sequence[HourFigures], shipped_p_fa: float) -> Table:
    """False accepts by the clock."""
    table = make_table(
        "False accepts per hour of other people's speech and voiceprint",
        "whole utterances; every speaker enrolled in turn; bound: one-sided 95 %, for other "
        "speakers; 9 in 10: as many voiceprints have no more than this",
        ["p_fa", "condition"],
        [
            *("hours", "per hour", "95 %", "bound", "+ early", "bound"),
            *("voiceprints", "median", "9 in 10", "worst"),
        ],
    )
    for row in rows:
        table.add_row(
            policy(row.p_fa, shipped_p_fa),
            row.noise,
            f"{row.speech_hours:.1f}",
            f"{row.final.value:.2f}",
            "-"
            if row.final.low is None or row.final.high is None
            else f"{row.final.low:.2f} to {row.final.high:.2f}",
            "-" if row.final.upper is None else f"{row.final.upper:.2f}",
            f"{row.ever.value:.2f}",
            "-" if row.ever.upper is None else f"{row.ever.upper:.2f}",
            str(row.num_voiceprints),
            f"{row.median_voiceprint:.1f}",
            f"{row.ninth_decile:.1f}",
            f"{row.worst_voiceprint:.1f}",
        )
    return table


def hourly_table(rows: Sequence[HourlyAccepts]) -> Table:
    """What one false accept per hour leaves of the speaker's own accepts."""
    table = make_table(
        "Accepts at the threshold that lets one stranger in per hour",
        "threshold: at which the median voiceprint has at most one false accept per hour of other "
        "people's speech, chosen on these trials; hours: each voiceprint met; same, other session: "
        "share of the speaker's own 3 s accepted, in %",
        ["noise", "corpus"],
        ["LLR", "voiceprints", "hours", "median/h", "worst/h", "same %", "other %"],
    )
    for row in rows:
        table.add_row(
            row.noise,
            row.corpus,
            f"{row.accept_llr:.1f}",
            str(row.num_voiceprints),
            f"{row.hours_each:.2f}",
            f"{row.median_voiceprint:.2g}",
            f"{row.worst_voiceprint:.2g}",
            percent(row.same_session),
            percent(row.other_session),
        )
    return table


def time_table(rows: Sequence[TimeFigures], shipped_p_fa: float) -> Table:
    """How soon the enrolled speaker is accepted."""
    table = make_table(
        "Time to the accept, where there is one",
        "seconds; net: speech without pauses; audio: from the first word, and for a final accept "
        "to the end of the pause that ends the speech; early: share of accepts that came before "
        "the end",
        ["p_fa", "condition", "who speaks"],
        ["trials", "accepted %", "early %", "net median", "net p90", "audio median", "audio p90"],
    )
    for row in rows:
        table.add_row(
            policy(row.p_fa, shipped_p_fa),
            row.condition,
            str(row.kind),
            str(row.num_trials),
            percent(row.accepted.value),
            percent(row.early_share),
            f"{row.median_net_s:.1f}",
            f"{row.p90_net_s:.1f}",
            f"{row.median_audio_s:.1f}",
            f"{row.p90_audio_s:.1f}",
        )
    return table


def prediction_table(check: PredictionCheck) -> Table:
    """For people: predicted against observed."""
    table = Table(
        title=f"Enrollment's prediction: share of speech accepted; ranges for "
        f"{100 * check.range_share:.0f} % of speakers",
        title_justify="left",
    )
    for name in ("occasion", "speech", "speakers", "tests", "predicted", "observed"):
        table.add_column(name, justify="left" if name == "occasion" else "right")
    table.add_column("by thirds, predicted", justify="right")
    table.add_column("observed", justify="right")
    table.add_column("mean width", justify="right")
    table.add_column("in range", justify="right")
    for row in check.figures:
        table.add_row(
            row.occasion,
            f"{row.speech_s:g} s",
            str(row.num_speakers),
            str(row.num_tests),
            _whole(row.predicted),
            _whole(row.observed),
            " / ".join(_whole(each) for each in row.predicted_thirds),
            " / ".join(_whole(each) for each in row.observed_thirds),
            f"{100 * row.mean_width:.0f} points",
            _whole(row.covered),
        )
    return table


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def plain_daemon(evaluation: Evaluation) -> dict[str, Any]:
    """For JSON: everything about the daemon's path."""
    return {
        "calibration": str(evaluation.choice.judged),
        "calibration_because": evaluation.choice.reason,
        "p_fa": evaluation.shipped_p_fa,
        "num_enrolled": len(evaluation.experiment.enrolled),
        "scores": plain(evaluation.scores),
        "decisions": plain(evaluation.decisions),
        "by_corpus": plain(evaluation.by_corpus),
        "households": plain(evaluation.households),
        "claims": plain(evaluation.promises),
        "false_accepts_per_hour": plain(evaluation.hours),
        "accepts_at_one_per_hour": plain(accepts_per_hour(evaluation.llrs)),
        "time_to_decision": plain(evaluation.times),
        "predictions": plain(evaluation.predictions.figures) if evaluation.predictions else None,
    }
