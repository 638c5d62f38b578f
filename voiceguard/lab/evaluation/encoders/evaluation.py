"""Encoders alone, in one table: the same trials for each, whatever thresholds the daemon has.

In: encoders, a corpus (or a list of trials) and a plan. Out: ``EncoderEvaluation``: figures per
condition, comparisons, and the trials themselves for curves. What the daemon would decide is
measured by ``daemon.evaluation``.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from voiceguard.errors import UsageError
from voiceguard.lab.evaluation.encoders.costs import measure_costs
from voiceguard.lab.evaluation.encoders.embeddings import embed_corpus, remembering
from voiceguard.lab.evaluation.encoders.protocol import EncoderPlan
from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation, conclude
from voiceguard.lab.evaluation.encoders.trial_list import embed_trial_list
from voiceguard.lab.evaluation.encoders.trials import Entrant, all_pairs
from voiceguard.lab.progress import untracked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voiceguard.lab.corpora.corpus import Corpus
    from voiceguard.lab.evaluation.encoders.trial_list import TrialList
    from voiceguard.lab.progress import Track
    from voiceguard.protocols import Encoder
    from voiceguard.service.kit import Kit

__all__ = [
    "EncoderEvaluation",
    "EncoderPlan",
    "Entrant",
    "evaluate_encoders",
    "evaluate_trial_list",
]


def evaluate_encoders(
    kit: Kit,
    entrants: Sequence[Entrant],
    corpus: Corpus,
    plan: EncoderPlan,
    *,
    cache: Path | None = None,
    track: Track = untracked,
) -> EncoderEvaluation:
    """Measures encoders on the trials of a corpus.

    Args:
        kit: Its gate finds the speech; its encoder plays no part.
        entrants: The first is compared with each of the others.
        corpus: Labelled recordings of speakers that no encoder has learnt from.
        plan: Lengths, conditions, utterances per enrollment.
        cache: Where embeddings are remembered; None: nowhere.
        track: Shows progress.

    Raises:
        UsageError: Fewer than two speakers could be enrolled, two encoders have one label, or a
            length is too short for one of them.
    """
    encoders = _by_label(entrants)
    _check_lengths(plan, encoders)
    costs = measure_costs(encoders)
    with_snr = any(entrant.calibration is not None for entrant in entrants)
    with ExitStack() as stack:
        remembered = remembering(encoders, cache, stack)
        embedded = embed_corpus(kit, remembered, corpus, plan, with_snr=with_snr, track=track)
    pairs = {cell: all_pairs(embedded.enrollees, tests) for cell, tests in embedded.tests.items()}
    return conclude(entrants, embedded, pairs, plan, costs=costs, knows_speakers=True, track=track)


def evaluate_trial_list(
    kit: Kit,
    entrants: Sequence[Entrant],
    listed: TrialList,
    plan: EncoderPlan,
    *,
    cache: Path | None = None,
    track: Track = untracked,
) -> EncoderEvaluation:
    """Measures encoders on listed trials of whole files; of the plan, lengths play no part.

    Raises:
        UsageError: A file is no audio or too short, or two encoders have one label.
    """
    encoders = _by_label(entrants)
    costs = measure_costs(encoders)
    with_snr = any(entrant.calibration is not None for entrant in entrants)
    with ExitStack() as stack:
        remembered = remembering(encoders, cache, stack)
        embedded, found = embed_trial_list(
            kit, remembered, listed, plan, with_snr=with_snr, track=track
        )
    pairs = dict.fromkeys(embedded.tests, found)
    return conclude(
        entrants,
        embedded,
        pairs,
        plan,
        costs=costs,
        knows_speakers=listed.knows_speakers,
        track=track,
    )


def _by_label(entrants: Sequence[Entrant]) -> dict[str, Encoder]:
    by_label = {entrant.name: entrant.encoder for entrant in entrants}
    if not entrants or len(by_label) != len(entrants):
        names = ", ".join(entrant.name for entrant in entrants)
        raise UsageError(
            f"every encoder to compare needs a name of its own, not {names or 'none at all'}",
            hint="give another encoder, or one of them another label",
        )
    return by_label


def _check_lengths(plan: EncoderPlan, encoders: dict[str, Encoder]) -> None:
    shortest_s = min(plan.lengths_s)
    for label, encoder in encoders.items():
        if encoder.info.min_window_s > shortest_s:
            raise UsageError(
                f"crops of {shortest_s:g} s are too short: encoder {label} needs at least "
                f"{encoder.info.min_window_s:g} s",
                hint="leave the shortest length out",
            )
