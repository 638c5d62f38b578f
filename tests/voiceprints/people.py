"""Voiceprints of nobody, for tests."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from voiceguard.types import Template, Voiceprint

ENCODER_ID = "0123456789abcdef"
ENROLLED_AT = datetime(2026, 11, 5, 17, 20, 1, 250_000, tzinfo=UTC)


def make_voiceprint(
    speaker: str = "anna",
    *,
    seed: int = 1,
    num_templates: int = 3,
    encoder_id: str = ENCODER_ID,
    display_name: str = "Anna Ærlig",
) -> Voiceprint:
    """Templates that point anywhere, the same for the same seed."""
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((num_templates, 192)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return Voiceprint(
        speaker=speaker,
        display_name=display_name,
        encoder_id=encoder_id,
        templates=tuple(
            Template(
                embedding=embedding,
                net_speech_s=4.5 + number,
                snr_db=21.5,
                created_at=ENROLLED_AT,
                label="kitchen",
            )
            for number, embedding in enumerate(embeddings)
        ),
        consent_at=ENROLLED_AT,
        created_at=ENROLLED_AT,
        updated_at=ENROLLED_AT,
    )


def assert_same(left: Voiceprint, right: Voiceprint) -> None:
    """Equal in everything, bit by bit."""
    assert (left.speaker, left.display_name, left.encoder_id) == (
        right.speaker,
        right.display_name,
        right.encoder_id,
    )
    assert (left.consent_at, left.created_at, left.updated_at) == (
        right.consent_at,
        right.created_at,
        right.updated_at,
    )
    assert len(left.templates) == len(right.templates)
    for mine, other in zip(left.templates, right.templates, strict=True):
        np.testing.assert_array_equal(mine.embedding, other.embedding)
        assert mine.embedding.dtype == np.float32
        assert (mine.net_speech_s, mine.snr_db, mine.created_at, mine.label) == (
            other.net_speech_s,
            other.snr_db,
            other.created_at,
            other.label,
        )
