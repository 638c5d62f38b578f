"""What the report shows before its tables: the figures that say most, and what to draw.

In: an ``EncoderEvaluation`` and an ``Evaluation``. Out: ``Tile``s and ``Drawing``s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.lab.corpora.conditions import CLEAN
from voiceguard.lab.evaluation.encoders.figures import COSINE
from voiceguard.lab.evaluation.plan import FULL
from voiceguard.lab.evaluation.report import plots
from voiceguard.lab.fitting.trials import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from voiceguard.lab.evaluation.daemon.decisions import DecisionFigures
    from voiceguard.lab.evaluation.daemon.evaluation import Evaluation
    from voiceguard.lab.evaluation.encoders.figures import EncoderFigures
    from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation
    from voiceguard.lab.fitting.trials import Trials

_MAIN_LENGTH = "3 s"
_PARTS = ("accepted", "inconclusive", "rejected", "not heard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A drawing with what to say about it."""

    title: str
    svg: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One of the figures that say most."""

    value: str
    what: str
    note: str
    """How sure it is, or under which circumstances."""


def tiles(encoders: EncoderEvaluation, daemon: Evaluation | None) -> list[Tile]:
    """A handful, the encoder's first."""
    return [*_encoder_tiles(encoders), *(_daemon_tiles(daemon) if daemon else ())]


def _encoder_tiles(encoders: EncoderEvaluation) -> Iterator[Tile]:
    length = _main(encoders.lengths)
    for row in _rows(encoders, CLEAN):
        if (row.label, row.length) == (encoders.labels[0], length):
            yield Tile(
                value=f"{100 * row.eer:.1f} %",
                what=f"equal error rate, {length}, {CLEAN}",
                note=f"{row.label}, {row.scoring}" + _span(row.eer_interval),
            )
    for pair in encoders.comparisons:
        if pair.condition != CLEAN or "-" not in pair.length or pair.relative_difference is None:
            continue
        yield Tile(
            value=f"{100 * pair.relative_difference:+.0f} %",
            what=f"EER against {pair.other}, {pair.length}, {CLEAN}",
            note="too few speakers for an interval"
            if pair.interval is None
            else " to ".join(f"{100 * end:+.0f}" for end in pair.interval)
            + " % for other speakers, paired",
        )


def _daemon_tiles(daemon: Evaluation) -> Iterator[Tile]:
    policy = f"at p_fa {daemon.shipped_p_fa:g}"
    for row in daemon.decisions:
        if row.p_fa != daemon.shipped_p_fa or row.condition != f"{_MAIN_LENGTH} {CLEAN}":
            continue
        if row.kind is not Kind.STRANGER:
            yield Tile(
                value=f"{100 * row.accepted.value:.0f} %",
                what=f"accepted after {_MAIN_LENGTH}, {row.kind}",
                note=f"{policy}, {row.accepted.num_trials} trials",
            )
    for hour in daemon.hours:
        if hour.p_fa == daemon.shipped_p_fa and hour.noise == CLEAN:
            bound = "" if hour.final.upper is None else f"; under {hour.final.upper:.1f} at 95 %"
            yield Tile(
                value=f"{hour.final.value:.1f}",
                what="false accepts per hour of strangers' speech and voiceprint",
                note=policy + bound,
            )
    for time in daemon.times:
        if time.p_fa == daemon.shipped_p_fa and time.condition == f"{FULL} {CLEAN}":
            yield Tile(
                value=f"{time.median_audio_s:.1f} s",
                what=f"from the first word to the accept, median, {time.kind}",
                note=f"nine in ten within {time.p90_audio_s:.1f} s; whole utterances",
            )
            return


def _span(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return ""
    low, high = (100 * end for end in interval)
    return f"; {low:.1f} to {high:.1f} % for other speakers"


def encoder_drawings(encoders: EncoderEvaluation) -> Iterator[Drawing]:
    """Length, DET curves, score histograms."""
    if len(encoders.lengths) > 1:
        yield _by_length(encoders)
    yield _trade_offs(encoders, _main(encoders.lengths))
    yield _cosines(encoders, _main(encoders.lengths))


def _by_length(encoders: EncoderEvaluation) -> Drawing:
    series: dict[str, list[tuple[str, float]]] = {}
    for row in _rows(encoders, CLEAN):
        series.setdefault(row.label, []).append((row.length, 100 * row.eer))
    return Drawing(
        title="Equal error rate by length of speech, by cosine",
        svg=plots.lines(series, ylabel="EER, %"),
        caption="Clean speech, the same trials at every length; the mean of the corpora.",
    )


def _trade_offs(encoders: EncoderEvaluation, length: str) -> Drawing:
    panels = {
        condition: [
            plots.Curve(name=label, target=trials.target, nontarget=trials.nontarget)
            for label in encoders.labels
            if len((trials := encoders.trials(label, condition, length)).target)
            and len(trials.nontarget)
        ]
        for condition in encoders.conditions
    }
    return Drawing(
        title=f"Detection error trade-off, {length}, by cosine",
        svg=plots.det_panels({name: curves for name, curves in panels.items() if curves}),
        caption="Lower and further left is better; the diagonal is where both errors are equal. "
        "All corpora together. Dotted where fewer than 30 errors of either kind were seen: there "
        "the curve may as well run elsewhere.",
    )


def _cosines(encoders: EncoderEvaluation, length: str) -> Drawing:
    histograms = [
        plots.Histogram(
            title=label,
            groups=_by_kind(encoders.trials(label, CLEAN, length)),
            marks={},
        )
        for label in encoders.labels
    ]
    return Drawing(
        title=f"Cosines, {length}, {CLEAN}",
        svg=plots.histogram_panels(histograms, xlabel="cosine"),
        caption="Where the humps overlap, nobody can tell speakers apart. Each hump has the same "
        "area, however many trials are in it.",
    )


def _by_kind(trials: Trials) -> dict[str, NDArray[np.float64]]:
    """Scores of each kind of trial that there is, ``(num_of_kind,)``."""
    return {str(kind): scores for kind in Kind if len(scores := trials.of_kind(kind))}


def daemon_drawings(daemon: Evaluation) -> Iterator[Drawing]:
    """LLRs with thresholds, decisions as bars, promises with intervals."""
    noises = list(dict.fromkeys(row.noise for row in daemon.promises))
    yield _llrs(daemon, noises)
    shipped = [row for row in daemon.decisions if row.p_fa == daemon.shipped_p_fa]
    yield Drawing(
        title=f"What is said at p_fa {daemon.shipped_p_fa:g}, by length of speech, {CLEAN}",
        svg=_bars([row for row in shipped if row.condition.endswith(CLEAN)], CLEAN),
        caption="One voiceprint enrolled at a time. Full: an utterance as spoken, many of them "
        "shorter than 2 s.",
    )
    if len(noises) > 1:
        yield Drawing(
            title=f"What is said at p_fa {daemon.shipped_p_fa:g}, by condition, whole utterances",
            svg=_bars([row for row in shipped if row.condition.startswith(FULL)], FULL),
            caption="One voiceprint enrolled at a time.",
        )
    yield _promises(daemon)


def _llrs(daemon: Evaluation, noises: Sequence[str]) -> Drawing:
    panels = []
    for noise in noises:
        trials = daemon.llrs.select(daemon.llrs.condition == f"{FULL} {noise}")
        panels.append(
            plots.Histogram(
                title=noise,
                groups=_by_kind(trials),
                marks={
                    f"accepted at p_fa {p_fa:g}": llr for p_fa, llr in daemon.thresholds.items()
                },
            )
        )
    return Drawing(
        title="Log-likelihood ratios of whole utterances, and where the daemon accepts",
        svg=plots.histogram_panels(
            [panel for panel in panels if panel.groups], xlabel="LLR (natural logarithm)"
        ),
        caption="Right of a line: accepted under that policy. Left of it: inconclusive, and "
        "further left rejected. Each hump has the same area.",
    )


def _promises(daemon: Evaluation) -> Drawing:
    panels = {
        f"p_fa {p_fa:g}": [
            plots.Interval(
                name=row.noise,
                value=100 * row.final.value,
                low=100 * (row.final.low or 0.0),
                high=100 * max(row.final.high or 0.0, row.final.upper or 0.0),
            )
            for row in daemon.promises
            if row.p_fa == p_fa
        ]
        for p_fa in daemon.p_fas
    }
    return Drawing(
        title="Promised and measured: false accepts per final decision about a stranger",
        svg=plots.interval_panels(
            panels, promises=[100 * p_fa for p_fa in daemon.p_fas], xlabel="false accepts, %"
        ),
        caption="Dot: measured, all lengths of speech. Line: 95 % interval for other speakers, or "
        "as far as the rule of three allows where hardly anything happened. Upright: the promise.",
    )


def _bars(rows: Sequence[DecisionFigures], common: str) -> str:
    panels: dict[str, list[plots.Bar]] = {}
    for kind in Kind:
        bars = [
            plots.Bar(
                name=row.condition.removeprefix(common).removesuffix(common).strip(),
                shares=(row.accepted.value, row.inconclusive, row.rejected, row.not_heard),
            )
            for row in rows
            if row.kind is kind
        ]
        if bars:
            panels[str(kind)] = bars
    return plots.bar_panels(panels, _PARTS)


def _rows(encoders: EncoderEvaluation, condition: str) -> Iterator[EncoderFigures]:
    """By plain cosine, as encoders are compared; the mean over corpora, or the only one."""
    seen: set[tuple[str, str]] = set()
    for row in encoders.figures:
        key = (row.label, row.length)
        if (row.condition, row.scoring) == (condition, COSINE) and key not in seen:
            seen.add(key)
            yield row


def _main(lengths: Sequence[str]) -> str:
    return _MAIN_LENGTH if _MAIN_LENGTH in lengths else lengths[-1]
