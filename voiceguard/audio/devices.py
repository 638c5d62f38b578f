"""Which microphones there are: as PortAudio lists them, and which of them a person means.

Blocking: belongs on the I/O executor.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voiceguard.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

SOUND_SERVERS = ("default", "pipewire", "pulse", "sysdefault")
"""ALSA's names for "whatever the sound server has": they take any rate and any channel count,
and what they report as their own (44.1 kHz, 32 channels) is made up."""

PROBE = (
    "import json, sounddevice as s;"
    "print(json.dumps([list(s.query_devices()), list(s.query_hostapis()), s.default.device[0]]))"
)
PROBE_TIMEOUT_S = 5.0


class DeviceGoneError(DeviceError):
    """Not there, or busy: it may come back by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescription:
    """A microphone, or what PortAudio takes for one."""

    index: int
    """Changes when devices come and go."""
    name: str
    host_api: str
    num_channels: int
    default_rate_hz: int
    is_default: bool

    @property
    def is_sound_server(self) -> bool:
        """Whether a server, not a piece of hardware, answers under this name."""
        return self.host_api == "ALSA" and self.name in SOUND_SERVERS


def find_device(
    devices: Sequence[DeviceDescription], wanted: str | int | None
) -> DeviceDescription:
    """The device of this index, exact name, or the only one whose name contains it.

    A device that several host APIs offer is taken from the one of the default device.

    Raises:
        DeviceGoneError: There is none.
        DeviceError: Several fit.
    """
    if wanted is None:
        found = [device for device in devices if device.is_default] or list(devices[:1])
        title = "the default microphone"
    elif isinstance(wanted, int):
        found = [device for device in devices if device.index == wanted]
        title = f"microphone number {wanted}"
    else:
        part = wanted.casefold()
        found = [device for device in devices if device.name == wanted] or [
            device for device in devices if part in device.name.casefold()
        ]
        title = f'a microphone called "{wanted}"'
    if not found:
        raise DeviceGoneError(
            f"there is no {title.removeprefix('a ').removeprefix('the ')}; {_listing(devices)}",
            hint="plug it in, or choose another: `voiceguard devices` lists them",
        )
    if len(found) > 1:
        host_apis = [device.host_api for device in devices if device.is_default]
        found = [device for device in found if device.host_api in host_apis] or found
    if len(found) > 1:
        raise DeviceError(
            f"{title} can mean several; {_listing(found)}",
            hint="give more of the name, or the number",
        )
    return found[0]


def _listing(devices: Sequence[DeviceDescription]) -> str:
    if not devices:
        return "PortAudio sees no device that can record"
    return "found: " + ", ".join(f'{device.index} "{device.name}"' for device in devices)


def import_sounddevice() -> ModuleType:
    """Imports sounddevice, which loads and initialises PortAudio."""
    try:
        import sounddevice  # noqa: PLC0415
    except OSError as error:
        raise DeviceError(
            "PortAudio, the library that reaches microphones, is not installed",
            hint="install libportaudio2 (Debian, Ubuntu, Raspberry Pi OS) or portaudio "
            "(Fedora, Arch, Homebrew)",
        ) from error
    module: ModuleType = sounddevice
    return module


def describe(sounddevice: ModuleType) -> list[DeviceDescription]:
    """Every device that can record, as this process's PortAudio knows them."""
    return _descriptions(
        list(sounddevice.query_devices()),
        list(sounddevice.query_hostapis()),
        sounddevice.default.device[0],
    )


def _descriptions(
    devices: Sequence[dict[str, Any]], host_apis: Sequence[dict[str, Any]], default: int
) -> list[DeviceDescription]:
    return [
        DeviceDescription(
            index=index,
            name=device["name"],
            host_api=host_apis[device["hostapi"]]["name"],
            num_channels=device["max_input_channels"],
            default_rate_hz=round(device["default_samplerate"]),
            is_default=index == default,
        )
        for index, device in enumerate(devices)
        if device["max_input_channels"] > 0
    ]


def probe() -> list[DeviceDescription]:
    """What a process that starts PortAudio now can see; empty when that fails."""
    try:
        finished = subprocess.run(  # noqa: S603 - our own interpreter, our own words
            [sys.executable, "-P", "-c", PROBE],  # -P: nothing of the directory that it is in
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
        devices, host_apis, default = json.loads(finished.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return _descriptions(devices, host_apis, default)
