"""Golden vectors: any change of features or weights that shifts embeddings fails here.

Where the change is meant, run this file as a program, and see that the encoder's id has changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.encoder.conftest import synthetic_voice
from voiceguard.encoder import golden as golden_signal
from voiceguard.encoder.frontends.log_mel import LogMelFrontEnd
from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.running.torch_encoder import TorchEncoder

if TYPE_CHECKING:
    from voiceguard.protocols import Encoder
    from voiceguard.types import Samples

GOLDEN = Path(__file__).with_name("golden.json")


SIGNAL = {
    "peak": [0.3009907],
    "samples": [0.0312826, 0.0323059, -0.0038216, 0.0078351, 0.0030295],
}
"""Of ``encoder.golden``, every 10000th sample from the 1000th on."""


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


def test_the_generated_signal_is_the_same_everywhere() -> None:
    """To float32 rounding of a sine; its noise, made of integers, exactly."""
    signal = golden_signal.signal()
    assert (signal.dtype, signal.shape) == (np.dtype(np.float32), (48_000,))
    assert np.array_equal(signal, golden_signal.signal())
    assert float(np.abs(signal).max()) == pytest.approx(SIGNAL["peak"][0], abs=1e-6)
    np.testing.assert_allclose(signal[1000::10_000], SIGNAL["samples"], atol=1e-6)


def test_every_band_of_the_signal_is_above_its_floor(encoder: Encoder) -> None:
    """Else a golden embedding would not show another front end there."""
    assert isinstance(encoder, TorchEncoder)
    features = encoder.front_end(torch.from_numpy(golden_signal.signal()))
    assert float(features.std(dim=1).min()) > 0.05


def test_an_encoder_is_near_its_own_golden_embedding_and_far_from_anothers(
    encoder: Encoder,
) -> None:
    own = golden_signal.embedding(encoder)
    assert golden_signal.deviation(encoder, own) < 1e-6
    altered = [value * (1.01 if index == 3 else 1.0) for index, value in enumerate(own)]
    assert golden_signal.deviation(encoder, [-value for value in altered]) > 1.0
    assert golden_signal.deviation(encoder, own[:-1]) == float("inf")


def test_the_tolerance_is_above_rounding_and_below_another_front_end(encoder: Encoder) -> None:
    """Two threads add in another order; a floor of 2e-6 for 1e-6 is the smallest of changes."""
    own = golden_signal.embedding(encoder)
    try:
        two = load_encoder("default", device="cpu", num_threads=2, runtime="torch")
        assert golden_signal.deviation(two, own) < golden_signal.TOLERANCE / 10
    finally:
        torch.set_num_threads(1)
    assert isinstance(two, TorchEncoder)
    assert isinstance(two.front_end, LogMelFrontEnd)
    two.front_end.floor = 2e-6
    assert golden_signal.deviation(two, own) > golden_signal.TOLERANCE


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
