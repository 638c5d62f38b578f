"""In a window of 80 or 60 columns no word, name or id is cut or broken, whatever is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.widths import check_fits
from tests.demo.test_household import heard
from tests.fakes import PitchEncoder
from tests.pinned.product import STATE, copy_of_state
from voiceguard.cli import output
from voiceguard.cli.command_line import command_line
from voiceguard.cli.demo import conclusion, decision_table
from voiceguard.cli.listening.words import beginning
from voiceguard.cli.measuring import bench
from voiceguard.cli.people.prediction import show_prediction
from voiceguard.demo.household import summarise
from voiceguard.demo.scene import load_scene
from voiceguard.errors import VoiceguardError
from voiceguard.lab.bench.daemon import WINDOWS_S, DaemonTiming, EncoderTiming
from voiceguard.scoring.outlook import OTHER_OCCASION, SAME_OCCASION
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.scoring.prediction import PredictedRate
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = [
    "history",
    "history --why last",
    "history --diagnostics",
    "voiceprints",
    "voiceprints show ada",
    "voiceprints show cleo",
    "models",
    "models info ecapa-c320",
    "models info campplus",
    "config show",
    "config check",
    "doctor --broker none",
    "service status --user",
    "unlock status",
    "audit show",
    "status",
    "verify ada /nowhere/a-name-that-is-quite-long.wav",
    "run --source device:a-microphone-with-a-long-name --broker mqtt://a:b@host",
    "voiceprints show somebody-who-is-not-enrolled",
    "history --why 00000000",
]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICEGUARD_STATE_DIR", str(copy_of_state(tmp_path)))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return STATE


@pytest.mark.parametrize("line", SHOWN)
@pytest.mark.usefixtures("state")
def test_every_word_is_whole_and_fits(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def show() -> None:
        tree: Any = command_line()
        try:
            tree.main(line.split(), "voiceguard", standalone_mode=False)
        except VoiceguardError as error:
            output.explain(str(error), error.hint)

    check_fits(show, monkeypatch, capsys)


def test_what_the_demo_shows_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = load_scene()
    outcomes = {True: "accepted", False: "unknown"}
    decisions = [
        heard(said.start_s, said.end_s, outcomes[said.is_enrolled], is_final=is_final)
        for said in scene.said
        if said.who
        for is_final in (False, True)
    ]

    def show() -> None:
        output.stdout.print(decision_table(scene, decisions, is_over=True))
        output.stdout.print(conclusion(scene, summarise(scene, decisions)))

    check_fits(show, monkeypatch, capsys)


def test_what_bench_shows_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`bench encoders` has a test of its own."""
    info = replace(PitchEncoder().info, name="speechbrain-ecapa-voxceleb", runtime="openvino")
    windows = [EncoderTiming(window_s=each, median_ms=123.45, min_ms=120.01) for each in WINDOWS_S]
    daemon = DaemonTiming(
        start_to_ready_s=12.34,
        num_decisions=1234,
        latency_p50_ms=1234.5,
        latency_p99_ms=12345.6,
        cpu_speech_percent=123.45,
        cpu_silence_percent=12.34,
        memory_mb=1234.5,
        seconds=3600.0,
        broker="embedded (amqtt)",
    )
    check_fits(lambda: bench._print(info, windows, daemon), monkeypatch, capsys)


def test_what_enroll_and_run_say_fits_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = [
        PredictedRate(occasion=occasion, speech_s=speech_s, low=0.51, expected=0.9, high=1.0)
        for occasion in (SAME_OCCASION, OTHER_OCCASION)
        for speech_s in (2.0, 3.0, 5.0)
    ]
    names = {"ada": "Ada Lovelace", "zoe": "Zoë"}
    broker = {"broker": "mqtt://a-broker-with-a-long-name.local"}
    lines = beginning(load_settings(mqtt=broker), names)

    def show() -> None:
        show_prediction(rates, "Ada Lovelace", PolicyConfig(), num_takes=3)
        for line in lines:
            output.stdout.print(line, soft_wrap=True)

    check_fits(show, monkeypatch, capsys)
