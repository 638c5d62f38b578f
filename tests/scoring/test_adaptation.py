"""Marks of right and wrong: how far they move a threshold, and how far no lie can move it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scoring.marked import CALIBRATION_ID, ENCODER_ID, make_mark
from tests.scoring.people import make_calibration
from tests.voiceprints.people import make_voiceprint
from voiceguard.scoring.adaptation import (
    MARGIN_LLR,
    MAX_RAISE_LLR,
    Adaptation,
    Mark,
    Standing,
    in_force,
    voiceprint_id,
)
from voiceguard.scoring.policy import Evidence, PolicyConfig, Verdict, decide, final_threshold
from voiceguard.types import Outcome, SpeakerScore

ANCHOR, FLOOR = 3.0, 2.2
PLAIN = make_calibration()
CALIBRATION = replace(
    PLAIN,
    counted_tails=tuple(
        replace(tail, quantiles=tuple(x - 0.7 for x in tail.quantiles), start=tail.start - 0.7)
        for tail in PLAIN.nontarget_tails
    ),
)
CONFIG = PolicyConfig()
FINAL = Evidence(net_speech_s=3.0, snr_db=20.0, is_final=True)


def adapted(*marks: Mark) -> Adaptation:
    return Adaptation(marks)


def missed(num: int = 5, llr: float = 2.5, first_day: int = 0) -> list[Mark]:
    """Words of theirs below the anchor, one a day."""
    return [make_mark(llr, day=first_day + number) for number in range(num)]


any_marks = st.lists(
    st.builds(
        make_mark,
        st.floats(-20, 20),
        is_theirs=st.booleans(),
        day=st.integers(0, 30),
    ),
    max_size=12,
)


def test_missed_words_of_theirs_lower_it_to_the_floor_and_no_further() -> None:
    for llr in (2.9, 2.3, 1.0):
        assert adapted(*missed(llr=llr)).moved(ANCHOR, FLOOR) == (FLOOR, Standing.LOWERED)


@pytest.mark.parametrize(
    ("marks", "standing"),
    [
        (missed(4), Standing.TOO_FEW),
        ([make_mark(2.5) for _ in range(20)], Standing.TOO_FEW),  # all on one day
        ([*missed(1), *(make_mark(5.0, day=n) for n in range(9))], Standing.TOO_FEW),
        ([*missed(10), *missed(6, llr=-2.0)], Standing.DISAGREEING),
        ([*missed(10), make_mark(3.5, is_theirs=False)], Standing.CONTRADICTED),
        ([*missed(10), make_mark(2.6, is_theirs=False)], Standing.CONTRADICTED),
    ],
)
def test_less_than_that_leaves_it_as_calibrated(marks: list[Mark], standing: Standing) -> None:
    assert adapted(*marks).moved(ANCHOR, FLOOR) == (ANCHOR, standing)


def test_it_stays_a_margin_above_what_somebody_else_said() -> None:
    moved = adapted(*missed(10), make_mark(2.0, is_theirs=False)).moved(ANCHOR, FLOOR)
    assert moved == (2.0 + MARGIN_LLR, Standing.LOWERED)


def test_where_nobody_knows_how_low_strangers_stay_it_is_never_lowered() -> None:
    for floor in (None, ANCHOR, ANCHOR + 1):
        assert adapted(*missed(10)).moved(ANCHOR, floor) == (ANCHOR, Standing.NO_ROOM)


def test_words_of_others_that_were_accepted_raise_it_above_their_median() -> None:
    others = [make_mark(llr, is_theirs=False) for llr in (3.2, 3.4, 4.0)]
    assert adapted(*others[:1]).moved(ANCHOR, FLOOR).llr == ANCHOR
    assert adapted(*others).moved(ANCHOR, FLOOR) == (3.4 + MARGIN_LLR, Standing.RAISED)
    louder = [make_mark(9.0, is_theirs=False) for _ in range(3)]
    assert adapted(*louder).moved(ANCHOR, FLOOR) == (ANCHOR + MAX_RAISE_LLR, Standing.RAISED)
    own = [make_mark(6.0) for _ in range(13)]
    assert adapted(*others, *own).moved(ANCHOR, FLOOR).llr == ANCHOR


@given(any_marks, st.floats(0, 10), st.one_of(st.none(), st.floats(0, 10)))
def test_no_marks_whatever_they_say_pass_the_bounds(
    marks: list[Mark], anchor: float, floor: float | None
) -> None:
    llr, standing = adapted(*marks).moved(anchor, floor)
    assert min(anchor, anchor if floor is None else floor) <= llr <= anchor + MAX_RAISE_LLR
    assert (llr < anchor) == (standing is Standing.LOWERED)
    assert (llr > anchor) == (standing is Standing.RAISED)
    raising = adapted(*marks).raising_only().moved(anchor, floor)
    assert raising.llr >= max(anchor, llr)


@given(any_marks, st.randoms())
def test_the_order_of_marks_changes_nothing_and_without_them_it_is_as_calibrated(
    marks: list[Mark], dice: object
) -> None:
    moved = adapted(*marks).moved(ANCHOR, FLOOR)
    shuffled = list(marks)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert adapted(*shuffled).moved(ANCHOR, FLOOR) == moved
    assert adapted().moved(ANCHOR, FLOOR) == (ANCHOR, Standing.NO_MARKS)


def decided(llr: float, marks: list[Mark], config: PolicyConfig = CONFIG) -> Verdict:
    scores = (SpeakerScore(speaker="ada", cosine=0.5, normalised=llr, llr=llr),)
    adaptations = {"ada": Adaptation(tuple(marks))}
    return decide(scores, FINAL, config, CALIBRATION, adaptations=adaptations)


@given(
    any_marks,
    st.floats(-10, 20),
    st.builds(PolicyConfig, p_fa=st.floats(1e-4, 0.05), look_share=st.floats(0, 0.9)),
)
def test_a_verdict_is_never_laxer_than_strangers_were_counted_at_that_rate(
    marks: list[Mark], llr: float, config: PolicyConfig
) -> None:
    verdict, plain = decided(llr, marks, config), decided(llr, [], config)
    assert config.p_fa is not None
    floor = CALIBRATION.floor_for(config.p_fa)
    assert verdict.accept_llr is not None
    assert plain.accept_llr is not None
    assert floor is not None
    assert verdict.accept_llr >= min(plain.accept_llr, max(0.0, floor))
    assert verdict.accept_llr - verdict.shift_llr == pytest.approx(plain.accept_llr)
    assert (verdict.outcome is Outcome.ACCEPTED) == (llr > verdict.accept_llr)
    assert plain.shift_llr == 0.0


def test_a_word_between_floor_and_anchor_is_accepted_after_marks_and_says_so() -> None:
    config = replace(CONFIG, look_share=0.0)
    anchor, moved = final_threshold(config, 1, CALIBRATION, adapted(*missed(llr=1.9)))
    assert moved.standing is Standing.LOWERED
    assert moved.llr == pytest.approx(anchor - 0.7)
    between = anchor - 0.3
    assert decided(between, [], config).outcome is not Outcome.ACCEPTED
    verdict = decided(between, missed(llr=1.9), config)
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.shift_llr == pytest.approx(-0.7)


def test_looks_stay_as_calibrated_and_what_they_leave_of_p_fa_is_the_final_verdicts() -> None:
    look = replace(FINAL, is_final=False)
    scores = (SpeakerScore(speaker="ada", cosine=0.5, normalised=9.0, llr=9.0),)
    adaptations = {"ada": adapted(*missed(llr=2.5))}
    early = decide(scores, look, CONFIG, CALIBRATION, adaptations=adaptations)
    assert early.shift_llr == 0.0
    assert early.accept_llr is not None
    final = decided(9.0, missed(llr=2.5))
    assert final.accept_llr is not None
    counted = CALIBRATION.counted_rate
    assert counted(final.accept_llr) + counted(early.accept_llr) == pytest.approx(0.01)
    assert counted(final.accept_llr) > 0.007


def test_marks_of_another_voiceprint_encoder_or_calibration_count_for_nothing() -> None:
    voiceprint = make_voiceprint("ada", encoder_id=ENCODER_ID)
    mark = make_mark(voiceprint_id=voiceprint_id(voiceprint))
    others = (
        replace(mark, calibration_id="d" * 16),
        replace(mark, encoder_id="e" * 16),
        replace(mark, voiceprint_id="f" * 16),
    )
    marks = {"ada": (mark, *others), "ben": (mark,)}
    assert in_force(marks, [voiceprint], CALIBRATION_ID) == {"ada": Adaptation((mark,))}
    assert in_force(marks, [voiceprint], None) == {}
    assert in_force(marks, [make_voiceprint("ada", seed=9)], CALIBRATION_ID) == {}
    renamed = replace(voiceprint, display_name="Countess", updated_at=mark.marked_at)
    assert "ada" in in_force(marks, [renamed], CALIBRATION_ID)


@pytest.mark.parametrize("llr", [math.nan, math.inf, 1e6])
def test_an_llr_that_is_none_is_refused(llr: float) -> None:
    with pytest.raises(ValueError, match="llr must be between"):
        make_mark(llr)
