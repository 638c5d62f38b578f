"""``voiceguard devices`` as a process, with a stand-in for the sounddevice package beside it.

What real PortAudio lists on a real audio server is tested in tests/integration.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

TWO_MICROPHONES = """
class PortAudioError(Exception): pass
class default: device = (2, -1)
def _device(name, channels): return {
    "name": name, "hostapi": 0, "max_input_channels": channels, "default_samplerate": 48000.0}
def query_devices(): return [_device("Speakers", 0), _device("USB [PnP]", 1), _device("Array", 4)]
def query_hostapis(): return [{"name": "ALSA"}]
"""

NONE = TWO_MICROPHONES + "def query_devices(): return [_device('Speakers', 0)]\n"

NO_PORTAUDIO = 'raise OSError("PortAudio library not found")\n'


def devices(sounddevice: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "sounddevice.py").write_text(sounddevice, encoding="utf-8")
    return voiceguard("devices", *options, state=folder, environment={"PYTHONPATH": str(folder)})


def test_microphones_are_listed_and_the_default_one_is_marked(tmp_path: Path) -> None:
    result = devices(TWO_MICROPHONES, tmp_path)

    assert result.returncode == 0, result.stderr
    usb, array = (line for line in result.stdout.splitlines() if "ALSA" in line)
    assert usb.split() == ["1", "USB", "[PnP]", "ALSA", "1", "48000"]
    assert array.split() == ["*", "2", "Array", "ALSA", "4", "48000"]


def test_json_is_one_object_per_microphone(tmp_path: Path) -> None:
    result = devices(TWO_MICROPHONES, tmp_path, "--json")

    names = {each["name"]: each for each in map(json.loads, result.stdout.splitlines())}
    assert set(names) == {"USB [PnP]", "Array"}
    assert names["Array"]["is_default"]
    assert names["Array"]["num_channels"] == 4


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_without_a_microphone_the_exit_code_says_device(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    result = devices(NONE, tmp_path, *options)

    assert (result.returncode, result.stdout) == (5, "")
    assert "no microphone" in result.stderr
    assert "hint:" in result.stderr


def test_without_portaudio_the_error_names_the_package_to_install(tmp_path: Path) -> None:
    result = devices(NO_PORTAUDIO, tmp_path)

    assert (result.returncode, result.stdout) == (5, "")
    assert "libportaudio2" in result.stderr
