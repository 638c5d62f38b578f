"""The [vad] table and the choice of a detector."""

from __future__ import annotations

from typing import Any

import pytest

from voiceguard.speech.vad import VadConfig, make_vad
from voiceguard.speech.vad.energy import EnergyVad


def test_the_energy_detector_with_the_configured_thresholds_is_the_default() -> None:
    vad = make_vad(VadConfig(energy_enter_db=12, energy_exit_db=6))
    assert isinstance(vad, EnergyVad)
    assert (vad.enter_score, vad.exit_score) == (12, 6)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"backend": "webrtc"}, "backend"),
        ({"energy_enter_db": 3.0}, "energy_enter_db"),
        ({"silero_exit": 0.9}, "silero_exit"),
        ({"silero_enter": 1.5}, "silero_enter"),
        ({"energy_exit_db": float("nan")}, "energy_exit_db"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused_by_name(
    wrong: dict[str, Any], name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        VadConfig(**wrong)
