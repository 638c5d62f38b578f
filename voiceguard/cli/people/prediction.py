"""What an enrollment foretells, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from voiceguard.cli.output import print_table, stdout
from voiceguard.decisions.wire import rounded
from voiceguard.scoring.outlook import OTHER_OCCASION, SAME_OCCASION
from voiceguard.scoring.prediction import RANGE_SHARE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.scoring.prediction import PredictedRate

SAID_S = 3.0
"""The length of speech that the sentence is about."""
_NAMES = {SAME_OCCASION: "today, same place", OTHER_OCCASION: "other days"}


def prediction_plain(rates: Sequence[PredictedRate], policy: PolicyConfig) -> dict[str, Any] | None:
    """For ``--json``; None where nothing is foretold."""
    if not rates:
        return None
    return {
        "p_fa": policy.p_fa,
        "range_share": RANGE_SHARE,
        "accepted": [
            {
                "occasion": rate.occasion,
                "speech_s": rate.speech_s,
                "low": rounded(rate.low, 3),
                "expected": rounded(rate.expected, 3),
                "high": rounded(rate.high, 3),
            }
            for rate in rates
        ],
    }


def show_prediction(
    rates: Sequence[PredictedRate],
    name: str,
    policy: PolicyConfig,
    *,
    num_takes: int,
    is_calibrated: bool = True,
) -> None:
    """A sentence and a small table.

    Args:
        rates: What is foretold.
        name: The speaker's, for people.
        policy: What an accept asks for.
        num_takes: That the ranges rest on.
        is_calibrated: Whether the encoder decides anything at all.
    """
    if not is_calibrated:
        stdout.print(
            "no prediction: this encoder has no calibration, so every decision will be "
            "inconclusive; `voiceguard calibrate DIR` makes one",
            soft_wrap=True,
        )
        return
    if not rates:
        stdout.print("[dim]no prediction: this encoder's calibration has no data for one[/]")
        return
    said = {rate.occasion: rate for rate in rates if rate.speech_s == SAID_S}
    parts = [
        f"{_range(said[occasion])} {where}"
        for occasion, where in ((SAME_OCCASION, "today at this place"), (OTHER_OCCASION, "later"))
        if occasion in said
    ]
    if parts:
        stdout.print(
            f"expected: of {escape(name)}'s utterances with {SAID_S:g} s of speech, "
            f"{' and '.join(parts)} will be accepted (p_fa {policy.p_fa:g})",
            soft_wrap=True,
        )
    print_table(_table(rates))
    stdout.print(f"[dim]{_caveat(rates, num_takes)}[/]", soft_wrap=True)


def _table(rates: Sequence[PredictedRate]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("speech", justify="right")
    occasions = [occasion for occasion in _NAMES if any(r.occasion == occasion for r in rates)]
    for occasion in occasions:
        table.add_column(_NAMES[occasion], justify="right")
    by_cell = {(rate.speech_s, rate.occasion): rate for rate in rates}
    for speech_s in sorted({rate.speech_s for rate in rates}):
        cells = [by_cell.get((speech_s, occasion)) for occasion in occasions]
        table.add_row(f"{speech_s:g} s", *(_range(cell) if cell else "" for cell in cells))
    return table


def _caveat(rates: Sequence[PredictedRate], num_takes: int) -> str:
    caveats = [f"ranges that hold for {10 * RANGE_SHARE:.0f} of 10 speakers, in as little noise"]
    if num_takes < 2:
        caveats.append("from a single take they are wide: two more say more")
    if not any(rate.occasion == OTHER_OCCASION for rate in rates):
        caveats.append("same room and day only: the calibration knows no other days")
    else:
        caveats.append("`--add` from another day or room is what helps later")
    return "; ".join(caveats)


def _range(rate: PredictedRate) -> str:
    low, high = f"{100 * rate.low:.0f}", f"{100 * rate.high:.0f}"
    return f"{low} %" if low == high else f"{low} to {high} %"
