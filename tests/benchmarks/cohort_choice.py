"""Which strangers should scores be normalised with?

Run by hand: ``python -m tests.benchmarks.cohort_choice DIR``. DIR is labelled speech that the
encoder has not seen, of two corpora or more. Cohorts are compared on the daemon's path: none, the
shipped one, speakers of the half that is not tested (never seen by the encoder, recorded like those
who are), speakers of the other corpora (never seen, recorded otherwise), and both beside the
shipped one. Halves are crossed: nobody is tested who is in the cohort.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from voiceguard.cli.measuring.corpora import measuring_kit
from voiceguard.lab.corpora.corpus import HALVES, Corpus, read_corpus
from voiceguard.lab.evaluation.daemon.cohort import make_cohort
from voiceguard.lab.evaluation.daemon.experiment import run_experiment
from voiceguard.lab.evaluation.daemon.trials import score_trials
from voiceguard.lab.evaluation.plan import Plan
from voiceguard.lab.fitting.metrics import eer, min_dcf
from voiceguard.scoring.snorm import Cohort

if TYPE_CHECKING:
    from collections.abc import Callable

    from voiceguard.lab.evaluation.daemon.experiment import Experiment
    from voiceguard.lab.fitting.trials import Trials
    from voiceguard.service.kit import Kit

TOP_KS = (20, 50, 100, 200, 400)


class Group(NamedTuple):
    """Trials stay within a corpus and a half."""

    corpus: str
    half: str


class Maker:
    """Cohorts for a group of trials, made once each."""

    def __init__(self, kit: Kit, corpus: Corpus) -> None:
        self._kit = kit
        self._corpus = corpus
        self._made: dict[Group, Cohort] = {}

    def strangers(self, corpus: str, half: str) -> Cohort:
        """The speakers of one corpus and half."""
        group = Group(corpus, half)
        if group not in self._made:
            recordings = tuple(
                each for each in self._corpus.recordings if (each.corpus, each.half) == group
            )
            self._made[group], _ = make_cohort(self._kit, Corpus(recordings=recordings, skips=()))
        return self._made[group]

    def unseen(self, tested: Group, *, alike: bool) -> Cohort:
        """Of the half that is not tested: the same corpus, or all the others."""
        (half,) = set(HALVES) - {tested.half}
        return together(
            *(
                self.strangers(name, half)
                for name in self._corpus.corpora
                if (name == tested.corpus) is alike
            )
        )


def together(*cohorts: Cohort) -> Cohort:
    """One cohort of all their speakers."""
    embeddings = np.concatenate([cohort.embeddings for cohort in cohorts])
    return Cohort(
        embeddings=embeddings, encoder_id=cohorts[0].encoder_id, top_k=min(200, len(embeddings))
    )


def scored(
    experiment: Experiment, corpus: Corpus, choose: Callable[[Group], Cohort | None]
) -> list[Trials]:
    """Every group's trials, normalised with the cohort chosen for it."""
    return [
        score_trials(part, choose(group))
        for group in (Group(name, half) for name in corpus.corpora for half in HALVES)
        if (part := _part(experiment, group)).enrolled
    ]


def _part(experiment: Experiment, group: Group) -> Experiment:
    return replace(
        experiment,
        enrolled=tuple(e for e in experiment.enrolled if (e.about.corpus, e.about.half) == group),
        tests=tuple(t for t in experiment.tests if (t.about.corpus, t.about.half) == group),
    )


def tell(name: str, groups: list[Trials]) -> None:
    """Mean over conditions of the EER and of minDCF(0.01), groups pooled."""
    eers, costs = [], []
    for condition in np.unique(np.concatenate([trials.condition for trials in groups])):
        parts = [trials.select(trials.condition == condition) for trials in groups]
        target = np.concatenate([part.target for part in parts])
        nontarget = np.concatenate([part.nontarget for part in parts])
        eers.append(eer(target, nontarget))
        costs.append(min_dcf(target, nontarget))
    print(f"{name:32s} EER {100 * np.mean(eers):5.2f} %   minDCF {np.mean(costs):.3f}")


def main() -> None:
    """Prints one line per cohort."""
    corpus = read_corpus(Path(sys.argv[1]))
    with measuring_kit(None, None, None) as kit:
        assert kit.cohort is not None
        assert kit.calibration is not None
        shipped = kit.cohort
        experiment = run_experiment(
            kit, corpus, Plan(), change_cosine=kit.calibration.change_cosine
        )
        maker = Maker(kit, corpus)
        choices: dict[str, Callable[[Group], Cohort | None]] = {
            "none": lambda _: None,
            "unseen, same corpus": lambda group: maker.unseen(group, alike=True),
            "shipped + unseen, same corpus": lambda group: together(
                shipped, maker.unseen(group, alike=True)
            ),
            "shipped + unseen, other corpora": lambda group: together(
                shipped, maker.unseen(group, alike=False)
            ),
        }
        for top_k in TOP_KS:
            cohort = replace(shipped, top_k=min(top_k, shipped.num_speakers))
            choices[f"shipped, top {cohort.top_k}"] = lambda _, cohort=cohort: cohort  # type: ignore[misc]
        for name, choose in choices.items():
            tell(name, scored(experiment, corpus, choose))


if __name__ == "__main__":
    main()
