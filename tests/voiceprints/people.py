"""Voiceprints of nobody, for tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from tests.fakes import tone
from voiceguard.types import Template, Voiceprint
from voiceguard.voiceprints.kept_audio import KeptAudio, KeptTake

if TYPE_CHECKING:
    from voiceguard.types import Samples

ENCODER_ID = "0123456789abcdef"
ENROLLED_AT = datetime(2026, 11, 5, 17, 20, 1, 250_000, tzinfo=UTC)
AGREED_AT = ENROLLED_AT + timedelta(seconds=7)


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


def make_person(speaker: str = "anna", *, num_templates: int = 2, seed: int = 1) -> Voiceprint:
    """A voiceprint whose takes were recorded one after the other."""
    voiceprint = make_voiceprint(speaker, num_templates=num_templates, seed=seed)
    templates = tuple(
        replace(template, created_at=ENROLLED_AT + timedelta(seconds=number))
        for number, template in enumerate(voiceprint.templates)
    )
    return replace(voiceprint, templates=templates)


def make_audio(voiceprint: Voiceprint, *takes: Samples) -> KeptAudio:
    """These recordings, or tones, of the first takes."""
    recordings = takes or tuple(
        tone(400.0 + 100 * i, 1.5) for i in range(len(voiceprint.templates))
    )
    return KeptAudio(
        speaker=voiceprint.speaker,
        enrolled_at=voiceprint.created_at,
        takes=tuple(
            KeptTake(recorded_at=template.created_at, consent_at=AGREED_AT, samples=samples)
            for template, samples in zip(voiceprint.templates, recordings, strict=False)
        ),
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
