"""The [vad] table and the choice of a detector."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import structlog

from voiceguard.speech import vad as vad_module
from voiceguard.speech.vad import VadConfig, make_vad, silero
from voiceguard.speech.vad.cascade import CascadeVad
from voiceguard.speech.vad.energy import EnergyVad


def test_energy_has_the_configured_thresholds() -> None:
    vad = make_vad(VadConfig(backend="energy", energy_enter_db=12, energy_exit_db=6))
    assert isinstance(vad, EnergyVad)
    assert (vad.enter_score, vad.exit_score) == (12, 6)


def test_a_cascade_is_the_default_and_has_a_trigger_of_its_own() -> None:
    vad = make_vad(VadConfig(cascade_enter_db=3, cascade_exit_db=2))
    assert isinstance(vad, CascadeVad)
    assert (vad.enter_score, vad.exit_score) == (3, 2)


def test_a_cascade_without_its_judge_is_the_energy_detector_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    silero.open_session.cache_clear()
    vad_module.tell_of_fallback.cache_clear()
    with structlog.testing.capture_logs() as logs:
        detectors = [make_vad(), make_vad()]
    assert [type(vad) for vad in detectors] == [EnergyVad, EnergyVad]
    assert detectors[0].enter_score == VadConfig().energy_enter_db
    assert [(entry["event"], entry["instead"]) for entry in logs] == [
        ("speech_judge_missing", "energy")
    ]
    assert "silero-vad" in logs[0]["hint"]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"backend": "webrtc"}, "backend"),
        ({"energy_enter_db": 3.0}, "energy_enter_db"),
        ({"cascade_exit_db": 5.0}, "cascade_exit_db"),
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
