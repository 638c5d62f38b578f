"""From embeddings to everything measured: figures, comparisons, and the trials behind them.

In: ``Embedded``, the kits, and which voiceprint meets which test. Out: ``EncoderEvaluation``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.evaluation.encoders.comparison import compare
from voiceguard.lab.evaluation.encoders.embeddings import Cell
from voiceguard.lab.evaluation.encoders.figures import (
    COSINE,
    S_NORM,
    Line,
    mean_over_corpora,
    measure,
)
from voiceguard.lab.evaluation.encoders.trials import score_pairs
from voiceguard.lab.evaluation.plan import FULL, length_name
from voiceguard.lab.fitting.resampling import draw_speakers
from voiceguard.lab.progress import untracked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from voiceguard.lab.corpora.corpus import Skip
    from voiceguard.lab.evaluation.encoders.comparison import Comparison
    from voiceguard.lab.evaluation.encoders.costs import EncoderCost
    from voiceguard.lab.evaluation.encoders.embeddings import Embedded
    from voiceguard.lab.evaluation.encoders.figures import EncoderFigures, Measured
    from voiceguard.lab.evaluation.encoders.trials import Pairs, Scored
    from voiceguard.lab.evaluation.plan import Plan
    from voiceguard.lab.fitting.resampling import SpeakerDraws
    from voiceguard.lab.fitting.trials import Trials
    from voiceguard.lab.progress import Track
    from voiceguard.service.kit import Kit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncoderEvaluation:
    """Everything measured."""

    labels: tuple[str, ...]
    """Of the encoders, in the order given."""
    corpora: tuple[str, ...]
    conditions: tuple[str, ...]
    lengths: tuple[str, ...]
    figures: tuple[EncoderFigures, ...]
    """By encoder, scoring, condition and length: the mean over corpora, then each corpus."""
    comparisons: tuple[Comparison, ...]
    """The first encoder against each other one; empty where there is no other."""
    costs: tuple[EncoderCost, ...]
    num_speakers: int
    num_enrolled: int
    skips: tuple[Skip, ...]
    scored: Callable[[str, Cell], Scored] = field(repr=False)
    """The trials of an encoder, condition and length."""

    def trials(self, label: str, condition: str, length: str, corpus: str | None = None) -> Trials:
        """The trials behind a row, scored by cosine.

        Args:
            label: The encoder's.
            condition: One of ``conditions``.
            length: One of ``lengths``.
            corpus: None: of all corpora, still without a trial that crosses them.

        Raises:
            KeyError: There is no such encoder, condition or length.
        """
        found = self.scored(label, Cell(condition, length)).cosine
        return found if corpus is None else found.of_corpus(corpus)


def conclude(
    kits: Mapping[str, Kit],
    embedded: Embedded,
    pairs: Mapping[Cell, Pairs],
    plan: Plan,
    *,
    costs: tuple[EncoderCost, ...],
    knows_speakers: bool = True,
    track: Track = untracked,
) -> EncoderEvaluation:
    """Scores everything and computes every figure.

    Args:
        kits: By the labels under which their embeddings are kept.
        embedded: Voiceprints and tests.
        pairs: The trials of each condition and length.
        plan: Its draws and seed; the order of conditions and lengths.
        costs: Of the encoders.
        knows_speakers: Whether speakers can be drawn, for intervals.
        track: Shows progress.
    """
    labels = tuple(kits)

    def scored(label: str, cell: Cell) -> Scored:
        return score_pairs(label, kits[label], embedded, cell, pairs[cell])

    conditions = tuple(condition.name for condition in plan.conditions)
    names = [*(length_name(length_s) for length_s in plan.lengths_s), FULL]
    lengths = tuple(name for name in names if Cell(conditions[0], name) in embedded.tests)
    every = (Cell(condition, length) for condition in conditions for length in lengths)
    cells = [cell for cell in every if cell in embedded.tests]
    corpora = tuple(sorted({each.corpus for each in embedded.enrollees}))
    draws: Mapping[str, SpeakerDraws | None] = (
        _draws(embedded, plan) if knows_speakers else dict.fromkeys(corpora)
    )
    figures: list[EncoderFigures] = []
    means: dict[tuple[str, Cell], Measured] = {}
    todo = [(label, cell) for label in labels for cell in cells]
    for label, cell in track(todo, "computing figures"):
        for scoring, rows in _measured(label, kits[label], scored(label, cell), cell, draws):
            figures += [row.figures for row in rows]
            if scoring == COSINE:
                means[label, cell] = rows[0]
    return EncoderEvaluation(
        labels=labels,
        corpora=corpora,
        conditions=conditions,
        lengths=lengths,
        figures=tuple(figures),
        comparisons=tuple(_comparisons(labels, conditions, lengths, means)),
        costs=costs,
        num_speakers=len({speaker for _, speaker in _speakers(embedded)}),
        num_enrolled=len(embedded.enrollees),
        skips=embedded.skips,
        scored=scored,
    )


def _measured(
    label: str, kit: Kit, scored: Scored, cell: Cell, draws: Mapping[str, SpeakerDraws | None]
) -> Iterator[tuple[str, list[Measured]]]:
    """Per scoring the mean over corpora, and where there are several each of them."""
    calibration = kit.calibration
    expected = COSINE if calibration is None or calibration.cohort_id is None else S_NORM
    for scoring, trials in ((COSINE, scored.cosine), (S_NORM, scored.normalised)):
        if trials is None:
            continue
        llrs = scored.llrs if scoring == expected else None
        rows = [
            row
            for corpus in sorted(draws)
            if (
                row := measure(
                    trials.of_corpus(corpus),
                    Line(label, scoring, corpus, cell.condition, cell.length),
                    llrs=None if llrs is None else llrs.of_corpus(corpus),
                    draws=draws[corpus],
                )
            )
        ]
        if rows:
            yield scoring, rows if len(rows) == 1 else [mean_over_corpora(rows), *rows]


def _comparisons(
    labels: Sequence[str],
    conditions: Sequence[str],
    lengths: Sequence[str],
    means: Mapping[tuple[str, Cell], Measured],
) -> Iterator[Comparison]:
    """Per condition: every length, and the crops together."""
    crops = [length for length in lengths if length != FULL]
    groups = {length: [length] for length in lengths}
    if len(crops) > 1:
        shortest, longest = crops[0].removesuffix(" s"), crops[-1]
        groups = {f"{shortest}-{longest}": crops, **groups}
    for other in labels[1:]:
        for condition in conditions:
            for name, members in groups.items():
                cells = [Cell(condition, length) for length in members]
                if all((labels[0], cell) in means for cell in cells):
                    yield compare(
                        [means[labels[0], cell] for cell in cells],
                        [means[other, cell] for cell in cells],
                        length=name,
                    )


def _draws(embedded: Embedded, plan: Plan) -> dict[str, SpeakerDraws]:
    """Of each corpus's speakers, the same for every encoder, condition and length."""
    speakers = _speakers(embedded)
    return {
        corpus: draw_speakers(
            np.array([name for of, name in speakers if of == corpus]),
            plan.num_draws,
            seeded(plan.seed, corpus, "speakers"),
        )
        for corpus in sorted({corpus for corpus, _ in speakers})
    }


def _speakers(embedded: Embedded) -> set[tuple[str, str]]:
    """Corpus and name of everybody enrolled or tested."""
    tested = (test.about for tests in embedded.tests.values() for test in tests)
    return {(each.corpus, each.speaker) for each in (*embedded.enrollees, *tested)}
