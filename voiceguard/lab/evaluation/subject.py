"""What is evaluated: an encoder with everything that turns its embeddings into decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.protocols import Encoder
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.service.kit import Kit


@dataclass(frozen=True, slots=True)
class Subject:
    """A kit in the table, under a name.

    Args:
        kit: Its encoder as loaded: one that remembers would answer too fast when it is timed.
        label: In tables; the encoder's name where empty.

    Raises:
        ValueError: Its encoder, cohort and calibration do not belong together.
    """

    kit: Kit
    label: str = ""

    def __post_init__(self) -> None:
        encoder_id = self.encoder.info.encoder_id
        if self.cohort is not None and self.cohort.encoder_id != encoder_id:
            raise ValueError(f"the cohort belongs to encoder {self.cohort.encoder_id}")
        if self.calibration is None:
            return
        if self.calibration.encoder_id != encoder_id:
            raise ValueError(f"the calibration belongs to encoder {self.calibration.encoder_id}")
        expected = self.calibration.cohort_id
        if expected is not None and (self.cohort is None or self.cohort.cohort_id != expected):
            raise ValueError(f"the calibration was fitted with cohort {expected}")

    @property
    def encoder(self) -> Encoder:
        return self.kit.encoder

    @property
    def cohort(self) -> Cohort | None:
        """Normalises scores, in figures of their own beside the plain cosine's."""
        return self.kit.cohort

    @property
    def calibration(self) -> Calibration | None:
        """Makes LLRs."""
        return self.kit.calibration

    @property
    def name(self) -> str:
        """The label, or else the encoder's name."""
        return self.label or self.encoder.info.name


def by_name(subjects: Sequence[Subject]) -> dict[str, Subject]:
    """Subjects by name.

    Raises:
        UsageError: There is none, or two have one name.
    """
    named = {subject.name: subject for subject in subjects}
    if not subjects or len(named) != len(subjects):
        names = ", ".join(subject.name for subject in subjects)
        raise UsageError(
            f"every encoder to compare needs a name of its own, not {names or 'none at all'}",
            hint="give another encoder, or one of them another label",
        )
    return named
