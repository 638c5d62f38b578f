"""What people have said of decisions, and how far that moves one speaker's threshold. Pure.

Part of hop 5. In: the marks of one speaker, the threshold that calibration and policy ask for (the
anchor, which no mark ever changes), and the lowest one at which strangers were counted within
``p_fa`` all the same (the floor; of final verdicts, looks have none). Out: the threshold in force.
Nothing is accumulated: the threshold is a function of the marks, so without them it is the anchor
again, to the last bit.

- *Lowered*, to the floor, where a person's own words are missed: at least ``MIN_WORDS`` words are
  theirs, ``MIN_MISSED`` of these lay below the anchor on ``MIN_DAYS`` days, and they agree with the
  voiceprint: ``MIN_AGREEING`` of them have an LLR above 0, which six in a hundred strangers' words
  have. To ``MARGIN_LLR`` above every word that was somebody else's, so not at all while one of
  those lies near the anchor.
- *Raised*, where it accepted other people: at least ``MIN_FALSE`` words above the anchor were not
  theirs, and a quarter as many as were. To ``MARGIN_LLR`` above the median of these, at most
  ``MAX_RAISE_LLR`` above the anchor.

However many marks lie, the threshold stays between floor and ``anchor + MAX_RAISE_LLR``: strangers
are never accepted more often than was counted to be within the promised rate.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Annotated, NamedTuple

from voiceguard.types import Outcome  # noqa: TC001 - pydantic reads the fields' annotations
from voiceguard.validation.ranges import Between, check_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voiceguard.types import Voiceprint

MIN_WORDS = 5
MIN_MISSED = 2
MIN_DAYS = 2
MIN_AGREEING = 2 / 3
MARGIN_LLR = 0.5
MIN_FALSE = 2
MAX_RAISE_LLR = 2.0
"""Seven times as sure: the owner's words that are a little better than good enough still pass."""
_OWN_PER_FALSE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What somebody has said of a decision, as it concerns one speaker; no audio, no embedding."""

    decision_id: str
    is_theirs: bool
    """Whether it was this speaker who spoke."""
    llr: Annotated[float, Between(-100, 100)]
    """This speaker's."""
    accept_llr: float | None
    """What the decision asked for."""
    outcome: Outcome
    stream: str
    decided_at: datetime
    marked_at: datetime
    net_speech_s: float
    snr_db: float | None
    encoder_id: str
    calibration_id: str
    voiceprint_id: str
    """Hash of what it was compared with."""

    def __post_init__(self) -> None:
        check_ranges(self)


class Standing(StrEnum):
    """Where a threshold stands, and what keeps it there."""

    LOWERED = "lowered"
    RAISED = "raised"
    NO_MARKS = "no_marks"
    TOO_FEW = "too_few"
    """Words of theirs that were missed, or days on which."""
    DISAGREEING = "disagreeing"
    """Too many of the words that were marked as theirs don't sound like them."""
    CONTRADICTED = "contradicted"
    """Somebody else's words lie too high for lowering it."""
    NO_ROOM = "no_room"
    """The calibration does not show that it could be lower."""


class Moved(NamedTuple):
    """A threshold as the marks have it."""

    llr: float
    standing: Standing


@dataclass(frozen=True, slots=True)
class Adaptation:
    """The marks of one speaker that count: of this voiceprint, encoder and calibration."""

    marks: tuple[Mark, ...]

    def moved(self, anchor_llr: float, floor_llr: float | None) -> Moved:
        """The threshold in force.

        Args:
            anchor_llr: What calibration and policy ask for.
            floor_llr: Where strangers were counted within the same rate; None: nobody knows.
        """
        false = [mark.llr for mark in self.marks if not mark.is_theirs and mark.llr > anchor_llr]
        own = [mark for mark in self.marks if mark.is_theirs]
        num_accepted = sum(mark.llr > anchor_llr for mark in own)
        if not self.marks or not math.isfinite(anchor_llr):
            return Moved(anchor_llr, Standing.NO_MARKS)
        if len(false) >= MIN_FALSE and len(false) * _OWN_PER_FALSE >= num_accepted:
            wanted = median(false) + MARGIN_LLR
            return Moved(min(wanted, anchor_llr + MAX_RAISE_LLR), Standing.RAISED)
        missed = [mark for mark in own if mark.llr <= anchor_llr]
        days = {mark.decided_at.astimezone(UTC).date() for mark in missed}
        if len(own) < MIN_WORDS or len(missed) < MIN_MISSED or len(days) < MIN_DAYS:
            return Moved(anchor_llr, Standing.TOO_FEW)
        if sum(mark.llr > 0 for mark in own) < MIN_AGREEING * len(own):
            return Moved(anchor_llr, Standing.DISAGREEING)
        return self._lowered(anchor_llr, floor_llr)

    def raising_only(self) -> Adaptation:
        """The same for a lock: it may become harder to open by marks, never easier."""
        others = tuple(mark for mark in self.marks if not mark.is_theirs)
        return replace(self, marks=others)

    def _lowered(self, anchor_llr: float, floor_llr: float | None) -> Moved:
        if floor_llr is None or floor_llr >= anchor_llr:
            return Moved(anchor_llr, Standing.NO_ROOM)
        others = [mark.llr + MARGIN_LLR for mark in self.marks if not mark.is_theirs]
        lowest = max([floor_llr, *others])
        if lowest >= anchor_llr:
            return Moved(anchor_llr, Standing.CONTRADICTED)
        return Moved(lowest, Standing.LOWERED)


def voiceprint_id(voiceprint: Voiceprint) -> str:
    """Hash of what speech is compared with, 16 hexadecimal digits; names and times don't count."""
    digest = hashlib.sha256(voiceprint.encoder_id.encode())
    for template in voiceprint.templates:
        digest.update(template.embedding.astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def in_force(
    marks: Mapping[str, tuple[Mark, ...]],
    voiceprints: Iterable[Voiceprint],
    calibration_id: str | None,
) -> dict[str, Adaptation]:
    """Of every speaker the marks that count: whatever they rest on has not changed since.

    Args:
        marks: By speaker.
        voiceprints: That decisions are made with.
        calibration_id: Likewise.
    """
    found = {}
    for each in voiceprints:
        if each.speaker not in marks:
            continue
        rests_on = (voiceprint_id(each), each.encoder_id, calibration_id)
        count = tuple(
            mark
            for mark in marks[each.speaker]
            if (mark.voiceprint_id, mark.encoder_id, mark.calibration_id) == rests_on
        )
        if count:
            found[each.speaker] = Adaptation(count)
    return found
