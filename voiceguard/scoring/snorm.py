"""Adaptive symmetric score normalisation against a cohort of strangers.

Part of hop 4, on the thread that scores. In: raw cosines and the cohort's statistics for both
sides of the trial. Out: scores in cohort standard deviations, which mean the same for every
speaker and channel. A voiceprint's statistics are computed once, a test's once per window.
Before they are compared, embeddings go through the cohort's projection, which takes out what one
voice differs by from channel to channel (``lab.fitting.projection`` learns it).

Source: P. Matejka et al., "Analysis of Score Normalization in Multilingual Speaker Recognition",
Interspeech 2017, eq. 5-7 (adaptive S-norm, top-K chosen by each side for itself).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from voiceguard.errors import EncoderError
from voiceguard.scoring.cosine import cosines, normalised
from voiceguard.validation.boundary import in_words
from voiceguard.validation.files import check_regular
from voiceguard.validation.parsing import parse_json_object
from voiceguard.validation.reading import plain, read

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MIN_COHORT_SPEAKERS = 10
"""Fewer give no standard deviation to speak of."""

_MIN_DEVIATION = 1e-3
"""In cosine. Real cohorts show 0.02 and more; it keeps a degenerate one from dividing by zero."""

_FORMAT = "voiceguard-cohort-1"
_REMAKE = "Make it again with this encoder, or install voiceguard again."


class CohortStatistics(NamedTuple):
    """How one side of a trial scores against those strangers that resemble it most.

    Two arrays of one shape, ``(...,)``: a figure per embedding.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def top_statistics(scores: NDArray[np.float64], top_k: int) -> CohortStatistics:
    """Mean and standard deviation of the highest scores.

    Args:
        scores: ``(..., num_cohort_speakers)``.
        top_k: How many count, 2 to num_cohort_speakers.

    Returns:
        Two arrays ``(...,)``.
    """
    top = np.partition(scores, scores.shape[-1] - top_k, axis=-1)[..., -top_k:]
    return CohortStatistics(top.mean(axis=-1), np.maximum(top.std(axis=-1), _MIN_DEVIATION))


def s_norm(
    scores: NDArray[np.float64], enrolled: CohortStatistics, tested: CohortStatistics
) -> NDArray[np.float64]:
    """Normalises by both sides and averages.

    Args:
        scores: Raw scores, any shape that broadcasts with the statistics.
        enrolled: The voiceprints' statistics.
        tested: The test utterances' statistics.
    """
    by_enrolled = (scores - enrolled.mean) / enrolled.deviation
    by_tested = (scores - tested.mean) / tested.deviation
    return np.asarray(0.5 * (by_enrolled + by_tested))


_ROWS_AT_ONCE = 64
"""Of a cohort that is projected: in double precision, all of them would take 10 MB more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortSource:
    """Where cohort speakers came from, for the licence's and the reader's sake."""

    corpus: str
    licence: str
    num_speakers: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohort:
    """Strangers without names: one renormalised mean embedding per speaker and channel."""

    embeddings: NDArray[np.float32] = field(repr=False)
    """``(num_speakers, embedding_dim)``, L2 norm 1."""
    encoder_id: str
    top_k: int
    """How many of them, the most similar, each side of a trial is compared with."""
    sources: tuple[CohortSource, ...] = ()
    projection: NDArray[np.float32] | None = field(default=None, repr=False)
    """``(embedding_dim, embedding_dim)``: what embeddings are multiplied by before they are
    compared. None: they are compared as they are."""
    _projected: NDArray[np.float32] = field(init=False, repr=False)
    """``(num_speakers, embedding_dim)``: its own embeddings as they are compared."""

    def __post_init__(self) -> None:
        shape = self.embeddings.shape
        if self.embeddings.ndim != 2 or shape[0] < MIN_COHORT_SPEAKERS:
            raise ValueError(
                f"a cohort is (num_speakers >= {MIN_COHORT_SPEAKERS}, dim), not {shape}"
            )
        if not 2 <= self.top_k <= shape[0]:
            raise ValueError(f"top_k must be between 2 and {shape[0]}, not {self.top_k}")
        if sum(source.num_speakers for source in self.sources) not in (0, shape[0]):
            raise ValueError(f"the sources' speakers do not add up to {shape[0]}")
        rows = np.array(self.embeddings, dtype=np.float32)
        # Checked, not scaled: scaling again would change the last bit, and with it the hash.
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number has no norm of 1
            norms = np.linalg.norm(rows, axis=1)
        if not np.allclose(norms, 1.0, atol=1e-3):
            raise ValueError("a cohort embedding has not L2 norm 1")
        rows.setflags(write=False)
        object.__setattr__(self, "embeddings", rows)
        if self.projection is not None:
            object.__setattr__(self, "projection", _checked(self.projection, shape[1]))
        projected = rows
        if self.projection is not None:
            projected = np.empty_like(rows)
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                block = slice(first, first + _ROWS_AT_ONCE)
                projected[block] = self.projected(rows[block])
        if not np.isfinite(projected).all():
            raise ValueError("the projection leaves nothing of a cohort embedding")
        object.__setattr__(self, "_projected", projected)

    @property
    def num_speakers(self) -> int:
        """A speaker who was heard over two channels counts as two."""
        return len(self.embeddings)

    @property
    def cohort_id(self) -> str:
        """Hash of all that changes a normalised score, 16 hexadecimal digits."""
        digest = hashlib.sha256(f"{_FORMAT}:{self.encoder_id}:{self.top_k}:".encode())
        digest.update(str(self.embeddings.shape).encode())
        digest.update(np.ascontiguousarray(self.embeddings, dtype="<f4").tobytes())
        if self.projection is not None:
            digest.update(np.ascontiguousarray(self.projection, dtype="<f4").tobytes())
        return digest.hexdigest()[:16]

    def projected(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings as they are compared with each other.

        Args:
            embeddings: ``(..., embedding_dim)``, L2 norm 1.

        Returns:
            The same shape, L2 norm 1; the same, where there is no projection.
        """
        if self.projection is None:
            return embeddings
        return normalised(embeddings @ self.projection)

    def statistics(self, projected: NDArray[np.float32]) -> CohortStatistics:
        """Scores embeddings against the cohort by the rule that scores trials.

        Args:
            projected: ``(..., embedding_dim)``, as ``projected`` gives them.

        Returns:
            Two arrays ``(...,)``.
        """
        return top_statistics(cosines(projected, self._projected), self.top_k)


def _checked(projection: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """A copy that nobody changes."""
    matrix = np.array(projection, dtype=np.float32)
    if matrix.shape != (dim, dim) or not np.isfinite(matrix).all():
        raise ValueError(f"a projection is {(dim, dim)} and finite, not {matrix.shape}")
    matrix.setflags(write=False)
    return matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """A cohort's file besides its embeddings."""

    format: str
    encoder_id: str
    top_k: int
    num_speakers: int
    cohort_id: str
    sources: tuple[CohortSource, ...]


def save_cohort(cohort: Cohort, path: Path) -> None:
    """Writes safetensors: ``embeddings``, ``projection``, and the rest as JSON in the metadata."""
    about = _About(
        format=_FORMAT,
        encoder_id=cohort.encoder_id,
        top_k=cohort.top_k,
        num_speakers=cohort.num_speakers,
        cohort_id=cohort.cohort_id,
        sources=cohort.sources,
    )
    # One key: safetensors orders several at random, and the file's bytes should be reproducible.
    metadata = {"voiceguard": json.dumps(plain(about), sort_keys=True)}
    tensors = {"embeddings": np.ascontiguousarray(cohort.embeddings)}
    if cohort.projection is not None:
        tensors["projection"] = np.ascontiguousarray(cohort.projection)
    save_file(tensors, path, metadata=metadata)


def load_cohort(path: Path, *, encoder_id: str) -> Cohort:
    """Reads a cohort for one encoder.

    Raises:
        EncoderError: The file is missing, damaged, or of another encoder.
    """
    try:
        check_regular(path)
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            about = read(_About, parse_json_object(metadata.get("voiceguard", "")))
            embeddings = file.get_tensor("embeddings")
            has_projection = "projection" in set(file.keys())
            projection = file.get_tensor("projection") if has_projection else None
        cohort = Cohort(
            embeddings=embeddings,
            encoder_id=about.encoder_id,
            top_k=about.top_k,
            sources=about.sources,
            projection=projection,
        )
    except FileNotFoundError:
        raise EncoderError(f"cohort {path} does not exist", hint=_REMAKE) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise EncoderError(f"cohort {path} is damaged: {in_words(error)}", hint=_REMAKE) from error
    if cohort.encoder_id != encoder_id:
        raise EncoderError(
            f"cohort {path} belongs to encoder {cohort.encoder_id}, not to {encoder_id}",
            hint=_REMAKE,
        )
    if about.cohort_id != cohort.cohort_id:
        raise EncoderError(
            f"cohort {path} is damaged: it hashes to {cohort.cohort_id}, not to {about.cohort_id}",
            hint=_REMAKE,
        )
    return cohort
