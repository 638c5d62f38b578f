"""Capture from a real audio server, through everything that happens to one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.integration.pulse import SINK, PulseServer
from tests.integration.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

NOTICED_S = 1.0 + 0.5
"""What design asks for, and what a busy test machine may add."""


@pytest.fixture
def pulse() -> Iterator[PulseServer]:
    with PulseServer() as server:
        yield server


def write_wav(path: Path, samples: NDArray[np.int16], rate_hz: int = 16_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())
    return path


def noise(seconds: float, rate_hz: int = 16_000) -> NDArray[np.int16]:
    rng = np.random.default_rng(7)
    samples = rng.integers(-12_000, 12_000, round(seconds * rate_hz)).astype(np.int16)
    samples[0] = samples[-1] = 12_345  # marks both ends
    return samples


def test_what_is_played_is_captured_bit_for_bit_and_counted(
    pulse: PulseServer, tmp_path: Path
) -> None:
    played = noise(2.0)
    with Recorder(pulse.env, tmp_path, {"mic": "pulse"}) as recorder:
        first = recorder.expect(stream="mic", first_s=0.0)
        pulse.play(write_wav(tmp_path / "played.wav", played))
        time.sleep(0.5)
        last = recorder.close()
        recorded = recorder.samples()
    assert first["after_gap"] is False
    assert first["late_s"] < 0.5
    start = int(np.flatnonzero(recorded[:, 0])[0])
    captured = np.round(recorded[start : start + len(played), 0] * 32_768).astype(np.int16)
    np.testing.assert_array_equal(captured, played)
    counts = last["statistics"][0]
    assert counts["samples_delivered"] == len(recorded)
    assert counts["samples_captured"] == (
        counts["samples_delivered"] + counts["samples_lost"] + counts["samples_buffered"]
    )
    assert counts["samples_missed"] == counts["num_overflows"] == counts["num_reopened"] == 0
    assert last["ended_in_s"] < 0.5


def test_a_server_that_dies_is_noticed_at_once_and_comes_back_after_a_gap_in_true_time(
    pulse: PulseServer, tmp_path: Path
) -> None:
    with Recorder(pulse.env, tmp_path, {"mic": "pulse"}) as recorder:
        begun = recorder.expect(stream="mic", first_s=0.0)
        pulse.kill()
        killed_s = time.monotonic()
        lost = recorder.expect(stream="mic", state="lost")
        time.sleep(1.0)
        pulse.start()
        restarted_s = time.monotonic()
        heard = recorder.expect(stream="mic", state="listening")
        resumed = recorder.expect(stream="mic", after_gap=True)
        counts = recorder.close()["statistics"][0]
    assert lost["at_s"] - killed_s < NOTICED_S
    assert heard["at_s"] - restarted_s < 4.0
    assert resumed["first_s"] == pytest.approx(resumed["at_s"] - begun["at_s"], abs=0.3)
    assert counts["num_reopened"] == 1
    assert counts["samples_missed"] > 16_000
    assert counts["outage_s"] == pytest.approx(counts["samples_missed"] / 16_000, abs=0.02)


def test_a_source_that_delivers_nothing_is_stalled_within_a_second_and_recovers(
    pulse: PulseServer, tmp_path: Path
) -> None:
    with Recorder(pulse.env, tmp_path, {"mic": "pulse"}) as recorder:
        recorder.expect(stream="mic", first_s=0.0)
        pulse.suspend(suspended=True)
        suspended_s = time.monotonic()
        stalled = recorder.expect(stream="mic", state="stalled")
        pulse.suspend(suspended=False)
        recorder.expect(stream="mic", state="listening")
        recorder.expect(stream="mic", after_gap=True)
        recorder.close()
    assert stalled["at_s"] - suspended_s < NOTICED_S


def test_a_hanging_server_stalls_the_microphone_but_does_not_keep_it_from_closing(
    pulse: PulseServer, tmp_path: Path
) -> None:
    with Recorder(pulse.env, tmp_path, {"mic": "pulse"}) as recorder:
        recorder.expect(stream="mic", first_s=0.0)
        pulse.freeze()
        frozen_s = time.monotonic()
        stalled = recorder.expect(stream="mic", state="stalled")
        time.sleep(0.3)
        last = recorder.close()
    assert stalled["at_s"] - frozen_s < NOTICED_S
    assert last["ended_in_s"] < 1.0


def test_a_hanging_server_that_goes_on_is_listened_to_again(
    pulse: PulseServer, tmp_path: Path
) -> None:
    with Recorder(pulse.env, tmp_path, {"mic": "pulse"}) as recorder:
        recorder.expect(stream="mic", first_s=0.0)
        pulse.freeze()
        recorder.expect(stream="mic", state="stalled")
        pulse.thaw()
        recorder.expect(stream="mic", state="listening")
        recorder.expect(stream="mic", after_gap=True)


def test_a_microphone_that_the_server_says_is_muted_is_so_until_something_sounds(
    pulse: PulseServer, tmp_path: Path
) -> None:
    pulse.mute(muted=True)
    try:
        with Recorder(pulse.env, tmp_path, {"mic": "pulse"}) as recorder:
            begun = recorder.expect(stream="mic", state="listening")
            muted = recorder.expect(stream="mic", state="muted")
            pulse.mute(muted=False)
            pulse.play(write_wav(tmp_path / "played.wav", noise(0.5)))
            recorder.expect(stream="mic", state="listening")
    finally:
        pulse.mute(muted=False)
    assert 0.8 < muted["at_s"] - begun["at_s"] < 4.0
    assert "sound server says that it is muted" in muted["detail"]


def test_a_missing_device_is_an_error_that_lists_what_there_is(
    pulse: PulseServer, tmp_path: Path
) -> None:
    config = {"wait_for_device": False}
    with Recorder(pulse.env, tmp_path, {"mic": "Røde"}, config) as recorder:
        report = recorder.expect(stream="mic")
    assert report["kind"] == "DeviceGoneError"
    assert '"Røde"' in report["error"]
    assert '"pulse"' in report["error"]


def test_a_device_that_cannot_record_so_many_channels_is_an_error_even_when_waiting(
    pulse: PulseServer, tmp_path: Path
) -> None:
    with Recorder(pulse.env, tmp_path, {"mic": "pulse"}, {"num_channels": 100}) as recorder:
        report = recorder.expect(stream="mic")
    assert report["kind"] == "DeviceError"
    assert "100 channel(s)" in report["error"]
    assert "audio.num_channels" in report["hint"]


def test_any_rate_and_several_channels(pulse: PulseServer, tmp_path: Path) -> None:
    config = {"rate_hz": 44_100, "num_channels": 2}
    with Recorder(pulse.env, tmp_path, {"mic": "pulse"}, config) as recorder:
        recorder.expect(stream="mic", first_s=0.0)
        pulse.play(write_wav(tmp_path / "played.wav", noise(1.0)))
        time.sleep(0.5)
        recorder.close()
        recorded = recorder.samples()
    assert recorded.shape[1] == 2
    sounding = np.flatnonzero(np.abs(recorded[:, 0]) > 0.05)
    assert (sounding[-1] - sounding[0]) / 44_100 == pytest.approx(1.0, abs=0.02)


def test_a_microphone_that_is_plugged_in_late_is_found_beside_one_that_listens(
    pulse: PulseServer, tmp_path: Path
) -> None:
    """PortAudio must start afresh for it, which the other microphone survives with a gap."""
    streams: dict[str, str | int | None] = {"desk": "pulse", "late": "latemic"}
    config = {"wait_for_device": True}
    with Recorder(pulse.env, tmp_path, streams, config=config) as recorder:
        recorder.expect(stream="late", state="lost")
        time.sleep(1.5)
        for report in recorder.told:
            assert not report.get("after_gap"), "looking for one must not disturb the other"
        plug_in(pulse, "latemic")
        recorder.expect(stream="late", state="listening")
        recorder.expect(stream="desk", after_gap=True)
        statistics = recorder.close()["statistics"]
    assert [counts["num_reopened"] for counts in statistics] == [1, 0]


def plug_in(pulse: PulseServer, name: str) -> None:
    """To ALSA a section in its configuration is a device like any other."""
    (pulse.home / ".asoundrc").write_text(
        f'pcm.{name} {{ type pulse device "{SINK}.monitor" hint {{ description "{name}" }} }}\n'
    )


def test_devices_are_listed_with_what_they_can(pulse: PulseServer) -> None:
    script = (
        "import dataclasses, json; from voiceguard.audio.portaudio import list_devices;"
        "print(json.dumps([dataclasses.asdict(device) for device in list_devices()]))"
    )
    listed = subprocess.run(
        [sys.executable, "-c", script], env=pulse.env, capture_output=True, text=True, check=True
    )
    devices = {device["name"]: device for device in json.loads(listed.stdout)}
    assert devices["pulse"]["host_api"] == "ALSA"
    assert devices["pulse"]["num_channels"] >= 1
    assert sum(device["is_default"] for device in devices.values()) == 1


def test_without_portaudio_the_error_names_the_package(tmp_path: Path) -> None:
    """A stand-in for sounddevice fails as the real one does where the library is missing."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    script = (
        "from voiceguard.audio.portaudio import list_devices\n"
        "from voiceguard.errors import DeviceError\n"
        "try: list_devices()\n"
        "except DeviceError as error: print(error, error.hint, error.exit_code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "libportaudio2" in ran.stdout
    assert ran.stdout.split()[-1] == "5"
