"""Calibration: from a normalised score to a natural log-likelihood ratio, and rates to thresholds.

Part of hop 4 (``Calibration.llr``) and hop 5 (the thresholds). The file lives beside the weights
and is bound to one encoder and one cohort; ``lab.fitting`` makes it.

Source: N. Bruemmer, J. du Preez, "Application-independent evaluation of speaker detection",
Computer Speech and Language 20, 2006; quality terms after L. Ferrer et al., "A unified approach
for audio characterization and its application to speaker recognition", Odyssey 2012.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voiceguard.errors import EncoderError
from voiceguard.scoring.limits import NO_LIMITS, EnrollmentLimits
from voiceguard.scoring.outlook import PredictionModel  # noqa: TC001 - pydantic reads the fields' annotations
from voiceguard.scoring.tail import Tail, Threshold, rate_at
from voiceguard.validation.files import read_whole
from voiceguard.validation.parsing import MAX_BYTES, parse_json_object
from voiceguard.validation.reading import plain, read

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LLR_CAP = 20.0
"""One in 500 million. No test set shows that; beyond it a higher score adds nothing."""

_FORMAT = "voiceguard-calibration-1"
_REMAKE = (
    "Fit it again (`voiceguard calibrate DIR --from-scratch`), or remove it: the one beside the "
    "weights then counts."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a calibration was fitted on, and how well it does on speakers it was not fitted on."""

    created_on: str
    """Date, ISO 8601."""
    corpora: tuple[str, ...]
    num_speakers: int
    num_target_trials: int
    num_nontarget_trials: int
    p_target: float
    """The prior at which the logistic loss was weighted."""
    cllr: float
    """Cross-fitted, in bits."""
    min_cllr: float
    eer: float
    prior_speakers: int = 0
    """As many speakers' worth of an earlier calibration is in it; 0: fitted from nothing."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """``llr = (slope + slope_quality.q) score + offset + offset_quality.q``, bounded.

    ``q`` = (natural log of net speech seconds, SNR in dB), clamped to the range that was fitted.
    """

    encoder_id: str
    cohort_id: str | None
    """None: it expects cosines that were not normalised."""
    slope: float
    offset: float
    quality_range: tuple[tuple[float, float], tuple[float, float]]
    """Lowest and highest, of log net speech seconds and of SNR in dB."""
    nontarget_tails: tuple[Tail, ...]
    """Of a segment's final LLR, one per kind of surroundings (quiet, noise), all lengths of speech
    together: the promised rate holds in each of them."""
    target_tails: tuple[Tail, ...]
    """The same of target LLRs, sign turned."""
    provenance: Provenance
    slope_quality: tuple[float, float] = (0.0, 0.0)
    offset_quality: tuple[float, float] = (0.0, 0.0)
    llr_cap: float = LLR_CAP
    doubt: float = 0.0
    """Share of trials that may not be what they seem (half noise, another channel, a cold): however
    unlike the score, the LLR falls no lower than its logarithm. Higher LLRs hardly change, and none
    of them their order."""
    enrollment: EnrollmentLimits = NO_LIMITS
    """How unlike the takes of one person may be."""
    prediction: PredictionModel | None = None
    """What enrollments foretell; None: nothing."""
    change_cosine: float | None = None
    """Successive stretches of speech less alike than this are two voices; None: unknown."""
    counted_tails: tuple[Tail, ...] = ()
    """As ``nontarget_tails``, but as strangers were counted in the strictest corpus, without the
    confidence that other strangers do no worse: marks of a speaker move their threshold no lower.
    Empty: they never lower it."""
    decisions_per_hour: float | None = None
    """Final decisions that an hour of uninterrupted speech makes, for policies that are stated per
    hour; None: not measured, the policy has a default."""

    def __post_init__(self) -> None:
        pairs = (*self.quality_range, self.slope_quality, self.offset_quality)
        if any(len(pair) != 2 for pair in pairs) or len(self.quality_range) != 2:
            raise ValueError("quality terms come in pairs: log net speech seconds, SNR in dB")
        numbers = [self.slope, self.offset, self.llr_cap, *(x for pair in pairs for x in pair)]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("a coefficient is not finite")
        steepest = self.slope + sum(
            max(term * low, term * high)
            for term, (low, high) in zip(self.slope_quality, self.quality_range, strict=True)
        )
        if steepest < 0 or self.llr_cap <= 0:
            raise ValueError("slope must not be negative, and llr_cap must be positive")
        if not 0 <= self.doubt < 1:
            raise ValueError("doubt must be at least 0 and below 1")
        if self.change_cosine is not None and not -1 <= self.change_cosine <= 1:
            raise ValueError("change_cosine must be between -1 and 1")
        if self.decisions_per_hour is not None and not 1 <= self.decisions_per_hour <= 36_000:
            raise ValueError("decisions_per_hour must be between 1 and 36000")
        if any(low > high for low, high in self.quality_range):
            raise ValueError("quality_range must be (lowest, highest), twice")
        if not self.nontarget_tails or not self.target_tails:
            raise ValueError("a calibration needs a tail of each kind")

    def llr(
        self,
        score: NDArray[np.float64],
        net_speech_s: float | NDArray[np.float64],
        snr_db: float | NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Calibrates normalised scores.

        Args:
            score: Any shape.
            net_speech_s: Of the test utterance; broadcasts with ``score``.
            snr_db: Likewise.

        Returns:
            Natural LLRs in [-llr_cap, llr_cap], never falling with the score; NaN where the score
            or the quality is.
        """
        quality = clamped_quality(net_speech_s, snr_db, self.quality_range)
        return linear_llr(self, score, quality, cap=self.llr_cap, doubt=self.doubt)

    def threshold_for(self, p_fa: float) -> Threshold:
        """The LLR that a non-target's exceeds with probability ``p_fa`` at most.

        In each of the surroundings that were fitted, and in each corpus of them.
        """
        return _strictest(self.nontarget_tails, p_fa)

    def floor_for(self, p_fa: float) -> float | None:
        """No accept threshold may be moved below this LLR, for ``p_fa``; None: it must stay."""
        return _strictest(self.counted_tails, p_fa).llr if self.counted_tails else None

    def counted_rate(self, llr: float) -> float:
        """How often strangers were counted above an LLR, in the strictest corpus; 1: not at all."""
        return max((rate_at(tail, llr) for tail in self.counted_tails), default=1.0)

    @cached_property
    def calibration_id(self) -> str:
        """Hash of all of it, 16 hexadecimal digits: an LLR is that of one calibration."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def threshold_for_miss(self, p_miss: float) -> Threshold:
        """The LLR that a target's falls short of with probability ``p_miss`` at most."""
        mirrored = _strictest(self.target_tails, p_miss)
        return Threshold(-mirrored.llr, mirrored.extrapolated)

    def to_json(self) -> str:
        """Everything, readable by people as well."""
        return json.dumps({"format": _FORMAT, **plain(self)}, indent=1, sort_keys=True) + "\n"


class Coefficients(Protocol):
    """What an LLR is made with."""

    @property
    def slope(self) -> float: ...
    @property
    def offset(self) -> float: ...
    @property
    def slope_quality(self) -> tuple[float, float]: ...
    @property
    def offset_quality(self) -> tuple[float, float]: ...


def linear_llr(
    coefficients: Coefficients,
    score: NDArray[np.float64],
    quality: NDArray[np.float64],
    *,
    cap: float,
    doubt: float = 0.0,
) -> NDArray[np.float64]:
    """``(slope + slope_quality.q) score + offset + offset_quality.q``, never falling, capped.

    With a doubt ``d``, ``log((1 - d) exp(llr) + d)`` of that.

    Args:
        coefficients: Of a calibration.
        score: ``(...)``.
        quality: ``(2, ...)``, as ``clamped_quality`` gives it.
        cap: Greatest absolute LLR.
        doubt: See ``Calibration``.
    """
    slope = coefficients.slope + np.tensordot(coefficients.slope_quality, quality, 1)
    offset = coefficients.offset + np.tensordot(coefficients.offset_quality, quality, 1)
    llr = np.clip(np.maximum(slope, 0.0) * score + offset, -cap, cap)
    if doubt:
        llr = np.log(doubt + (1 - doubt) * np.exp(llr))
    return np.asarray(llr, dtype=np.float64)


def clamped_quality(
    net_speech_s: float | NDArray[np.float64],
    snr_db: float | NDArray[np.float64],
    quality_range: tuple[tuple[float, float], tuple[float, float]],
) -> NDArray[np.float64]:
    """``(2, ...)``: log net seconds and SNR, inside the range; NaN stays NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_s = np.log(net_speech_s)
    (low_s, high_s), (low_db, high_db) = quality_range
    pair = np.broadcast_arrays(np.clip(log_s, low_s, high_s), np.clip(snr_db, low_db, high_db))
    return np.stack([np.asarray(part, dtype=np.float64) for part in pair])


def _strictest(tails: tuple[Tail, ...], rate: float) -> Threshold:
    thresholds = [tail.threshold(rate) for tail in tails]
    return Threshold(
        max(threshold.llr for threshold in thresholds),
        any(threshold.extrapolated for threshold in thresholds),
    )


def calibration_from_json(text: str | bytes) -> Calibration:
    """Reads what ``to_json`` wrote.

    Raises:
        ValueError: It is not that.
    """
    values = parse_json_object(text)
    if values.pop("format", None) != _FORMAT:
        raise ValueError(f"the format is not {_FORMAT}")
    return read(Calibration, values)


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Writes JSON."""
    path.write_text(calibration.to_json(), encoding="utf-8")


def load_calibration(path: Path, *, encoder_id: str, cohort_id: str | None) -> Calibration:
    """Reads the calibration of one encoder and one cohort.

    Raises:
        EncoderError: The file is missing, damaged, or fitted to another encoder or cohort.
    """
    try:
        calibration = calibration_from_json(read_whole(path, MAX_BYTES))
    except FileNotFoundError:
        raise EncoderError(f"calibration {path} does not exist", hint=_REMAKE) from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"calibration {path} is damaged: {error}", hint=_REMAKE) from error
    for what, stated, expected in (
        ("encoder", calibration.encoder_id, encoder_id),
        ("cohort", calibration.cohort_id, cohort_id),
    ):
        if stated != expected:
            raise EncoderError(
                f"calibration {path} was fitted to {what} {stated}, not to {expected}", hint=_REMAKE
            )
    return calibration
