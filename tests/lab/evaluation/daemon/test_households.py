"""What several people in one home cost each other, and whom they let in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import plain_calibration
from tests.lab.evaluation.voices import make_kit, people, write_corpus
from voiceguard.lab.corpora.corpus import HALVES, read_corpus
from voiceguard.lab.evaluation.daemon.experiment import run_experiment
from voiceguard.lab.evaluation.daemon.households import (
    EACH,
    NUM_HOUSEHOLDS,
    SHARED,
    HouseholdFigures,
    household_figures,
)
from voiceguard.lab.evaluation.plan import Plan
from voiceguard.lab.evaluation.report.corpus_tables import household_table
from voiceguard.scoring.tail import fit_tail

if TYPE_CHECKING:
    from voiceguard.lab.evaluation.daemon.experiment import Experiment
    from voiceguard.scoring.calibration import Calibration

NUM_PEOPLE = 7


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    rows = people(NUM_PEOPLE, utterances=5, second_session=1)
    corpus = read_corpus(write_corpus(tmp_path_factory.mktemp("home"), rows))
    plan = Plan(lengths_s=(1.0,), max_places=1)
    return run_experiment(make_kit(), corpus, plan, change_cosine=None).in_one_half()


def figures(heard: Experiment, calibration: Calibration) -> dict[tuple[int, str], HouseholdFigures]:
    rows = household_figures(make_kit(), heard, dict.fromkeys(HALVES, calibration), p_fa=0.01)
    assert {row.condition for row in rows} == {"full clean"}
    return {(row.size, row.promise): row for row in rows}


def test_everybody_is_met_in_a_home_of_their_own_and_by_strangers(heard: Experiment) -> None:
    rows = figures(heard, plain_calibration())
    assert list(rows) == [(1, SHARED), (5, SHARED), (5, EACH)]
    for row in rows.values():
        assert row.same_session is not None
        assert row.other_session is not None
        assert row.strangers is not None
        assert row.same_session.num_trials == 2 * NUM_PEOPLE
        assert row.other_session.num_trials == NUM_PEOPLE
        assert row.strangers.num_trials == NUM_HOUSEHOLDS * 3 * NUM_PEOPLE
        assert row.strangers.value == 0
    assert household_table(list(rows.values())).row_count == 3


def test_a_shared_promise_costs_accepts_and_one_for_each_does_not(heard: Experiment) -> None:
    """LLRs that end where a fifth of the rate is out of reach, and the whole rate is not."""
    llrs = np.random.default_rng(0).exponential(2.0, 20_000)
    tail = fit_tail(llrs, condition="clean", num_independent=20_000)
    highest = 0.5 * (tail.threshold(0.007).llr + tail.threshold(0.007 / 5).llr)
    plain = plain_calibration()
    flat = replace(plain, slope=60.0, nontarget_tails=(tail,), llr_cap=highest)
    rows = figures(heard, flat)
    rates = {key: row.same_session for key, row in rows.items()}
    alone, shared, each = (rates[key] for key in ((1, SHARED), (5, SHARED), (5, EACH)))
    assert alone is not None
    assert shared is not None
    assert each is not None
    assert shared.value == 0
    assert alone.value > 0.5
    assert each.value == pytest.approx(alone.value)
