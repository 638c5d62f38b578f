"""Whether there is a microphone, and whether anybody tells when it is muted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceguard.audio.devices import find_device
from voiceguard.audio.portaudio import list_devices
from voiceguard.audio.sound_server import describe_source
from voiceguard.audio.sources import parse_sources
from voiceguard.control.client import ControlClient
from voiceguard.errors import VoiceguardError
from voiceguard.paths import state_dir
from voiceguard.service.checks.check import Check, Status
from voiceguard.types import SourceState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voiceguard.audio.devices import DeviceDescription
    from voiceguard.audio.sound_server import ServerSource
    from voiceguard.settings import Settings


def check_microphone(
    settings: Settings,
    list_microphones: Callable[[], Sequence[DeviceDescription]] = list_devices,
    ask_server: Callable[[], ServerSource | None] = describe_source,
) -> Check:
    """Whether PortAudio loads and has every device that the configuration wants to listen to."""
    try:
        specs = parse_sources(settings.audio.sources)
        targets = [spec.target for spec in specs if spec.kind == "device"]
        devices = list_microphones()
        wanted = [
            find_device(devices, int(target) if target.isdecimal() else target or None)
            for target in targets
        ]
    except VoiceguardError as error:
        return Check.failed("microphone", error)
    if not devices:
        return Check(
            "microphone",
            Status.WARN,
            "PortAudio finds no device that can record; files and standard input need none",
            "plug one in; is this account in the group audio, is PipeWire or PulseAudio running?",
        )
    names = ", ".join(device.name for device in devices)
    found = f"{len(devices)} found: {names}"
    return _check_muted(settings, wanted, found, ask_server)


def _check_muted(
    settings: Settings,
    wanted: Sequence[DeviceDescription],
    found: str,
    ask_server: Callable[[], ServerSource | None],
) -> Check:
    """Muted now, or where only zeros tell: one that suppresses noise delivers those too."""
    if (stream := _muted_stream(settings)) is not None:
        return Check(
            "microphone",
            Status.WARN,
            f"{found}; the daemon takes {stream} for muted",
            "switch it on; if it is not muted, it delivers zeros while nobody speaks: set "
            "mute_after_s = 0 in [audio]",
        )
    if any(device.is_sound_server for device in wanted):
        if (source := ask_server()) is not None and source.is_muted:
            return Check(
                "microphone",
                Status.WARN,
                f"{found}; the sound server says that {source.name} is muted",
                f"pactl set-source-mute {source.name} 0",
            )
    elif wanted and settings.audio.mute_after_s > 0:
        found += (
            f"; {settings.audio.mute_after_s:g} s of exact zeros count as muted: one that "
            "suppresses noise delivers those too, and wants mute_after_s = 0 in [audio]"
        )
    return Check("microphone", Status.OK, found)


def _muted_stream(settings: Settings) -> str | None:
    """The stream that a running daemon has heard nothing but zeros from."""
    try:
        with ControlClient(state_dir(settings.state_dir)) as daemon:
            streams: Mapping[str, Any] = daemon.call("status")["streams"]
    except (VoiceguardError, OSError):
        return None
    return next(
        (name for name, told in streams.items() if told.get("state") == SourceState.MUTED), None
    )
