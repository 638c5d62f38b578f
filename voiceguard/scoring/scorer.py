"""Hop 4 of 6: an embedding against every voiceprint.

Runs on the event loop or in any thread (numpy, well under a millisecond; a scorer is immutable).
In: a window's or segment's embedding and how much speech is behind it. Out: one ``SpeakerScore``
per voiceprint, best first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.scoring.cosine import cosines, normalised, renormalised_mean
from voiceguard.scoring.snorm import s_norm
from voiceguard.types import SpeakerScore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.snorm import Cohort
    from voiceguard.types import Embedding, Template, Voiceprint


class Scorer:
    """Scores embeddings against a fixed set of voiceprints; make a new one when the set changes."""

    def __init__(
        self,
        voiceprints: Iterable[Voiceprint],
        cohort: Cohort | None,
        calibration: Calibration | None,
    ) -> None:
        """Computes every voiceprint's mean and cohort statistics, once.

        Args:
            voiceprints: Of one encoder; others are the caller's to leave out and to report.
            cohort: None: scores stay plain cosines.
            calibration: Fitted with this cohort, or None: scores carry no LLR, and the policy
                accepts nobody.

        Raises:
            ValueError: Encoders, cohort and calibration don't belong together, a speaker is there
                twice, or a voiceprint has no usable template.
        """
        listed = list(voiceprints)
        by_speaker = {voiceprint.speaker: voiceprint for voiceprint in listed}
        if len(by_speaker) != len(listed):
            raise ValueError("a speaker has two voiceprints")
        _check_same_encoder(listed, cohort, calibration)
        self._cohort = cohort
        self._calibration = calibration
        self._index = {speaker: row for row, speaker in enumerate(sorted(by_speaker))}
        self._names = {each.speaker: each.display_name for each in listed}
        means = [_mean_of(by_speaker[speaker]) for speaker in self._index]
        self._means = np.stack(means) if means else np.empty((0, 0), dtype=np.float32)
        self._projected = cohort.projected(self._means) if cohort and means else self._means
        self._statistics = cohort.statistics(self._projected) if cohort and means else None

    @property
    def speakers(self) -> tuple[str, ...]:
        """Whom it knows, in alphabetical order."""
        return tuple(self._index)

    @property
    def calibration(self) -> Calibration | None:
        """What the policy takes its thresholds from."""
        return self._calibration

    def score(
        self, embedding: Embedding, net_speech_s: float, snr_db: float
    ) -> tuple[SpeakerScore, ...]:
        """Scores one test embedding against every voiceprint.

        Args:
            embedding: ``(embedding_dim,)``, of any norm.
            net_speech_s: Speech behind it, pauses not counted.
            snr_db: Speech level over noise floor behind it.

        Returns:
            Best first, equal ones by name; empty without voiceprints. An embedding that is zero
            or not finite gives NaN scores, which no policy accepts.

        Raises:
            ValueError: The embedding has another dimension than the voiceprints.
        """
        if not self._index:
            return ()
        if embedding.shape != self._means.shape[1:]:
            raise ValueError(f"expected shape {self._means.shape[1:]}, not {embedding.shape}")
        test = normalised(embedding)
        raw = cosines(test, self._means)  # (num_voiceprints,)
        score = raw
        if self._cohort is not None and self._statistics is not None:
            mine = self._cohort.projected(test)
            compared = raw if mine is test else cosines(mine, self._projected)
            score = s_norm(compared, self._statistics, self._cohort.statistics(mine))
        llr = None
        if self._calibration is not None:
            llr = self._calibration.llr(score, net_speech_s, snr_db)
        scores = [
            SpeakerScore(
                speaker=speaker,
                cosine=float(raw[row]),
                normalised=float(score[row]),
                llr=None if llr is None else float(llr[row]),
                display_name=self._names[speaker],
            )
            for speaker, row in self._index.items()
        ]
        return tuple(sorted(scores, key=_best_first))


def leave_one_out(
    templates: Sequence[Template], cohort: Cohort | None, calibration: Calibration | None
) -> tuple[SpeakerScore, ...]:
    """Scores every template of one speaker against the mean of the others.

    Scoring a take against a mean that contains it is biased upwards: it partly meets itself.

    Args:
        templates: At least two, of one speaker and encoder.
        cohort: As for ``Scorer``.
        calibration: As for ``Scorer``.

    Returns:
        One score per template, in their order; ``speaker`` is the template's label.

    Raises:
        ValueError: Fewer than two templates, or one without a direction.
    """
    if len(templates) < 2:
        raise ValueError("leaving one out needs at least two templates")
    embeddings = np.stack([template.embedding for template in templates])
    rest = np.stack(
        [renormalised_mean(np.delete(embeddings, i, axis=0)) for i in range(len(templates))]
    )
    tests = normalised(embeddings)
    raw = np.diagonal(cosines(tests, rest))
    score: NDArray[np.float64] = raw
    if cohort is not None:
        mine, others = cohort.projected(tests), cohort.projected(rest)
        compared = np.diagonal(cosines(mine, others))
        score = s_norm(compared, cohort.statistics(others), cohort.statistics(mine))
    llr = None
    if calibration is not None:
        net_speech_s = np.array([template.net_speech_s for template in templates])
        snr_db = np.array([template.snr_db for template in templates])
        llr = calibration.llr(score, net_speech_s, snr_db)
    return tuple(
        SpeakerScore(
            speaker=template.label,
            cosine=float(raw[i]),
            normalised=float(score[i]),
            llr=None if llr is None else float(llr[i]),
        )
        for i, template in enumerate(templates)
    )


def _mean_of(voiceprint: Voiceprint) -> Embedding:
    if not voiceprint.templates:
        raise ValueError(f"voiceprint {voiceprint.speaker!r} has no templates")
    try:
        return renormalised_mean(np.stack([part.embedding for part in voiceprint.templates]))
    except ValueError as error:
        raise ValueError(f"voiceprint {voiceprint.speaker!r}: {error}") from error


def _check_same_encoder(
    voiceprints: Sequence[Voiceprint], cohort: Cohort | None, calibration: Calibration | None
) -> None:
    encoders = {f"voiceprint {part.speaker!r}": part.encoder_id for part in voiceprints}
    if cohort is not None:
        encoders["the cohort"] = cohort.encoder_id
    if calibration is not None:
        encoders["the calibration"] = calibration.encoder_id
    if len(set(encoders.values())) > 1:
        raise ValueError(f"embeddings of different encoders are never compared: {encoders}")
    if calibration is not None and calibration.cohort_id != (cohort and cohort.cohort_id):
        raise ValueError("the calibration was fitted to another cohort")


def _best_first(score: SpeakerScore) -> tuple[bool, float, str]:
    return math.isnan(score.normalised), -score.normalised, score.speaker
