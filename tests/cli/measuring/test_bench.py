"""``voiceguard bench``: it measures a daemon that really runs; no figure is judged here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cli.command import voiceguard
from voiceguard.cli.measuring.bench import _wherever
from voiceguard.encoder.config import EncoderConfig
from voiceguard.encoder.library import DEFAULT_MODEL, find_model
from voiceguard.lab.bench.daemon import _environment
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_bench_measures_encoder_and_daemon(tmp_path: Path) -> None:
    finished = voiceguard("bench", "--seconds", "15", "--json", state=tmp_path)
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert result["runtime"] == "onnx"
    assert [timing["window_s"] for timing in result["windows"]] == [1.0, 2.0, 3.0, 4.0]
    assert all(timing["median_ms"] >= timing["min_ms"] > 0 for timing in result["windows"])
    daemon = result["daemon"]
    assert daemon["num_decisions"] >= 1
    assert 0 < daemon["latency_p50_ms"] <= daemon["latency_p99_ms"]
    assert daemon["cpu_speech_percent"] > daemon["cpu_silence_percent"] > 0
    assert daemon["memory_mb"] > 100
    assert daemon["start_to_ready_s"] > 0.5


def test_the_daemon_that_is_measured_runs_the_encoder_that_was_named(tmp_path: Path) -> None:
    weights = find_model(DEFAULT_MODEL)
    other = tmp_path / "other.safetensors"
    for suffix in (".safetensors", ".json"):
        other.with_suffix(suffix).write_bytes(weights.with_suffix(suffix).read_bytes())
    chosen = EncoderConfig(model=str(other), runtime="openvino", num_threads=2)
    environment = _environment(chosen)
    assert environment == {
        "VOICEGUARD_ENCODER__MODEL": str(other),
        "VOICEGUARD_ENCODER__DEVICE": "auto",
        "VOICEGUARD_ENCODER__RUNTIME": "openvino",
        "VOICEGUARD_ENCODER__NUM_THREADS": "2",
    }
    settings = load_settings(None, encoder={"model": str(other)})
    assert _wherever(settings).model == str(other)
    assert _wherever(load_settings(None)).model == str(weights)
