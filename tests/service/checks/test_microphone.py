"""The microphones that are wanted are looked for, and so is whether one is muted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from voiceguard.audio.config import AudioConfig
from voiceguard.audio.devices import DeviceDescription
from voiceguard.audio.sound_server import ServerSource
from voiceguard.errors import DeviceError
from voiceguard.service.checks.check import Status
from voiceguard.service.checks.microphone import check_microphone
from voiceguard.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def settings_in(state: Path, audio: AudioConfig | None = None) -> Settings:
    return Settings(state_dir=str(state), audio=audio or AudioConfig())


MICROPHONE = DeviceDescription(
    index=3, name="USB", host_api="ALSA", num_channels=1, default_rate_hz=48_000, is_default=True
)


def no_portaudio() -> list[DeviceDescription]:
    raise DeviceError("no PortAudio", hint="install it")


@pytest.mark.parametrize(
    ("sources", "devices", "status"),
    [
        (("device",), [MICROPHONE], Status.OK),
        (("kitchen=device:usb", "stdin"), [MICROPHONE], Status.OK),
        (("device:3",), [MICROPHONE], Status.OK),
        (("device:webcam",), [MICROPHONE], Status.FAIL),
        (("device",), [], Status.FAIL),
        (("stdin",), [], Status.WARN),  # it would be needed for enrolling only
    ],
)
def test_the_microphones_that_the_configuration_wants_are_looked_for(
    sources: tuple[str, ...], devices: list[DeviceDescription], status: Status, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path, audio=AudioConfig(sources=sources))

    check = check_microphone(settings, lambda: devices)

    assert check.status is status, check
    assert bool(check.remedy) is (status is not Status.OK)


def test_a_missing_portaudio_is_told_with_its_own_hint(tmp_path: Path) -> None:
    check = check_microphone(settings_in(tmp_path), no_portaudio)

    assert (check.status, check.detail, check.remedy) == (
        Status.FAIL,
        "no PortAudio",
        "install it",
    )


def test_where_only_zeros_tell_of_a_switch_the_setting_is_proposed(tmp_path: Path) -> None:
    check = check_microphone(settings_in(tmp_path), lambda: [MICROPHONE])
    assert check.status is Status.OK
    assert "mute_after_s = 0" in check.detail
    decided = settings_in(tmp_path, AudioConfig(mute_after_s=0.0))
    assert "mute" not in check_microphone(decided, lambda: [MICROPHONE]).detail


@pytest.mark.parametrize("is_muted", [True, False])
def test_a_sound_server_that_says_muted_is_believed(tmp_path: Path, *, is_muted: bool) -> None:
    server = replace(MICROPHONE, name="pulse")
    source = ServerSource(name="alsa_input.usb", positions=(0,), is_muted=is_muted)
    check = check_microphone(settings_in(tmp_path), lambda: [server], lambda: source)
    assert check.status is (Status.WARN if is_muted else Status.OK)
    assert ("pactl set-source-mute alsa_input.usb 0" in check.remedy) is is_muted
