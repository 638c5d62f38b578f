"""Golden vectors: any change of features or weights that shifts embeddings fails here.

Where the change is meant, run this file as a program, and see that the encoder's id has changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.encoder.conftest import synthetic_voice
from voiceguard.encoder.registry import load_encoder

if TYPE_CHECKING:
    from voiceguard.protocols import Encoder
    from voiceguard.types import Samples

GOLDEN = Path(__file__).with_name("golden.json")


def cases() -> dict[str, Samples]:
    """Signals that are computed, the same everywhere."""
    return {
        "low voice, 1 s": synthetic_voice(1.0, pitch_hz=105.0),
        "high voice, 3.7 s": synthetic_voice(3.7, pitch_hz=215.0),
    }


@pytest.mark.parametrize("case", cases())
def test_embeddings_are_the_golden_ones(encoder: Encoder, case: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    expected = np.array(golden["embeddings"][case])
    found = encoder.embed(cases()[case])
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_encoder_id_is_the_golden_one(encoder: Encoder) -> None:
    """Voiceprints, cohort and calibration hang on it."""
    assert encoder.info.encoder_id == json.loads(GOLDEN.read_text())["encoder_id"]


if __name__ == "__main__":
    default = load_encoder("default", device="cpu")
    golden = {
        "encoder_id": default.info.encoder_id,
        "embeddings": {
            case: [round(float(value), 7) for value in default.embed(samples)]
            for case, samples in cases().items()
        },
    }
    GOLDEN.write_text(json.dumps(golden) + "\n")
