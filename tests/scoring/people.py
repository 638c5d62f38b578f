"""Seeded stand-ins for speakers: embeddings, voiceprints, trials, calibrations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.lab.fitting.trials import Trials
from voiceguard.scoring.calibration import Calibration, Provenance
from voiceguard.scoring.cosine import normalised
from voiceguard.scoring.snorm import Cohort
from voiceguard.scoring.tail import fit_tail
from voiceguard.types import Template, Voiceprint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.types import Embedding

ENCODER_ID = "00112233aabbccdd"
DIM = 16
WHEN = datetime(2026, 11, 1, tzinfo=UTC)


def directions(seed: int, count: int, dim: int = DIM) -> NDArray[np.float32]:
    """``(count, dim)`` random unit vectors."""
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return normalised(rows)


def near(centre: Embedding, seed: int, count: int, spread: float = 0.15) -> NDArray[np.float32]:
    """Utterances of the speaker at ``centre``."""
    noise = np.random.default_rng(seed).standard_normal((count, len(centre))).astype(np.float32)
    return normalised(centre + spread * noise)


def make_cohort(encoder_id: str = ENCODER_ID, size: int = 60, top_k: int = 20) -> Cohort:
    """Strangers."""
    return Cohort(embeddings=directions(99, size), encoder_id=encoder_id, top_k=top_k)


def make_projection(seed: int = 97) -> NDArray[np.float32]:
    """``(DIM, DIM)``: half of the directions are made shorter."""
    axes, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((DIM, DIM)))
    gains = np.where(np.arange(DIM) < DIM // 2, 0.3, 1.0)
    return np.asarray((axes * gains) @ axes.T, dtype=np.float32)


def make_voiceprint(
    speaker: str, embeddings: NDArray[np.float32], encoder_id: str = ENCODER_ID
) -> Voiceprint:
    """One template per row."""
    return Voiceprint(
        speaker=speaker,
        display_name=speaker.title(),
        encoder_id=encoder_id,
        templates=tuple(
            Template(
                embedding=row, net_speech_s=4.0, snr_db=20.0, created_at=WHEN, label=f"take {i}"
            )
            for i, row in enumerate(embeddings)
        ),
        consent_at=WHEN,
        created_at=WHEN,
        updated_at=WHEN,
    )


def make_calibration(cohort_id: str | None = None, num_speakers: int = 100) -> Calibration:
    """LLR = score; non-target LLRs are N(-4.5, 3), targets N(4.5, 3): calibrated to each other."""
    rng = np.random.default_rng(7)
    num_pairs = num_speakers * (num_speakers - 1) // 2
    return Calibration(
        encoder_id=ENCODER_ID,
        cohort_id=cohort_id,
        slope=1.0,
        offset=0.0,
        quality_range=((-1.0, 2.0), (0.0, 40.0)),
        nontarget_tails=(
            fit_tail(rng.normal(-4.5, 3, num_pairs), condition="clean", num_independent=num_pairs),
        ),
        target_tails=(
            fit_tail(rng.normal(-4.5, 3, 400), condition="clean", num_independent=num_speakers),
        ),
        provenance=Provenance(
            created_on="2026-11-01",
            corpora=("invented",),
            num_speakers=num_speakers,
            num_target_trials=400,
            num_nontarget_trials=num_pairs,
            p_target=0.05,
            cllr=0.2,
            min_cllr=0.19,
            eer=0.067,
        ),
    )


def make_trials(
    seed: int,
    num_speakers: int = 24,
    utterances: int = 4,
    separation: float = 3.0,
    conditions: tuple[str, ...] = ("clean",),
) -> Trials:
    """Every speaker against every utterance of their fold; scores N(0, 1) or N(separation, 1)."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"s{e:03}", f"s{t:03}", e % 2, condition)
        for condition in conditions
        for e in range(num_speakers)
        for t in range(e % 2, num_speakers, 2)
        for _ in range(utterances)
    ]
    enrolled, tested, fold, condition = (np.array(column) for column in zip(*rows, strict=True))
    score = rng.standard_normal(len(rows)) + separation * (enrolled == tested)
    return Trials(
        score=score,
        enrolled=enrolled,
        tested=tested,
        net_speech_s=rng.uniform(1, 5, len(rows)),
        snr_db=rng.uniform(5, 30, len(rows)),
        fold=fold.astype(np.int64),
        condition=condition,
    )
