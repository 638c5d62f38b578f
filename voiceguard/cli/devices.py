"""``voiceguard devices``: the microphones that there are, as ``--source device:`` names them."""

from __future__ import annotations

from dataclasses import asdict

from rich.markup import escape
from rich.table import Table

from voiceguard.audio.portaudio import list_devices
from voiceguard.cli.options import JsonOption
from voiceguard.cli.output import print_json, print_table, stdout
from voiceguard.errors import DeviceError


def devices(json_lines: JsonOption = False) -> None:
    """List the microphones: number, name, channels, rate; the default one is marked.

    Any part of a name that fits one device only is enough: --source device:usb. Exits with 5 if
    there is none, or no PortAudio to find one with.
    """
    found = list_devices()
    if not found:
        raise DeviceError(
            "no microphone: PortAudio finds no device that can record",
            hint="plug one in; may this account record (group audio), and is PipeWire or "
            "PulseAudio running? `arecord -l` shows what the kernel has. Files and standard "
            "input need no microphone: `voiceguard run --source file:PATH`",
        )
    if json_lines:
        for device in found:
            print_json(asdict(device))
        return
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for header, justify in {"": "left", "#": "right", "name": "left", "through": "left"}.items():
        table.add_column(header, justify=justify)  # type: ignore[arg-type]
    table.add_column("channels", justify="right")
    table.add_column("Hz", justify="right")
    for device in found:
        table.add_row(
            "[bold green]*[/]" if device.is_default else "",
            str(device.index),
            escape(device.name),
            escape(device.host_api),
            str(device.num_channels),
            str(device.default_rate_hz),
        )
    print_table(table)
    stdout.print("[dim]* is the default; choose with `--source device:NAME` or device:#[/]")
