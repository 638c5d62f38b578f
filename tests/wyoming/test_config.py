"""The [[wyoming.proxy]] tables: read, or refused in words before anything listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from voiceguard.errors import ConfigError, UsageError
from voiceguard.settings import load_settings
from voiceguard.wyoming.making import check_names

if TYPE_CHECKING:
    from pathlib import Path

KITCHEN = """
[[wyoming.proxy]]
name = "kitchen"
listen = "tcp://0.0.0.0:10350"
upstream = "tcp://core-whisper:10300"
"""
HALL = '[[wyoming.satellite]]\nname = "a"\naddress = "tcp://hall:10700"\n'


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def written(folder: Path, text: str) -> Path:
    path = folder / "v.toml"
    path.write_text(text)
    return path


def test_rooms_need_no_microphone(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, f"[audio]\nsources = []\n{KITCHEN}"))
    (room,) = settings.wyoming.proxy
    assert (room.name, room.policy, room.address.port) == ("kitchen", "observe", 10350)
    with pytest.raises(ConfigError, match=r"audio\.sources must name at least one source"):
        load_settings(written(tmp_path, "[audio]\nsources = []\n"))


def test_what_is_in_force_is_shown_as_it_is_written(tmp_path: Path) -> None:
    path = written(tmp_path, KITCHEN + 'policy = "gate"\nallow = ["anna"]\n')
    shown = voiceguard("config", "show", "--config", path, state=tmp_path)
    assert shown.returncode == 0, shown.stderr
    again = written(tmp_path, shown.stdout)
    assert load_settings(again).wyoming == load_settings(path).wyoming
    assert "[[wyoming.proxy]]" in shown.stdout
    assert 'allow = ["anna"]' in shown.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            KITCHEN + '[[wyoming.satellite]]\nname = "kitchen"\naddress = "tcp://hall:10700"\n',
            "two of them are called 'kitchen'",
        ),
        (
            HALL + HALL.replace('"a"', '"b"'),
            "'a' and 'b' are the same satellite tcp://hall:10700, and it serves one client",
        ),
        (
            KITCHEN + '[[wyoming.satellite]]\nname = "a"\naddress = "tcp://127.0.0.1:10350"\n',
            "the satellite 'a', tcp://127.0.0.1:10350, is the port of 'kitchen'",
        ),
        (
            '[[wyoming.satellite]]\nname = "a"\naddress = "hall:10700"\n',
            'address must be like "tcp://host:10300"',
        ),
        (
            KITCHEN + KITCHEN.replace("kitchen", "hall"),
            "'kitchen' and 'hall' listen on the same port 10350",
        ),
        (KITCHEN + KITCHEN.replace("10350", "10351"), "two of them are called 'kitchen'"),
        (
            KITCHEN.replace("core-whisper:10300", "127.0.0.1:10350"),
            "upstream tcp://127.0.0.1:10350 is this proxy itself",
        ),
        (
            KITCHEN.replace("core-whisper:10300", "localhost:10351")
            + KITCHEN.replace("kitchen", "hall").replace("10350", "10351"),
            "the upstream of 'kitchen', tcp://localhost:10351, is the port of 'hall' itself",
        ),
        (KITCHEN.replace("0.0.0.0:10350", "0.0.0.0"), 'listen must be like "tcp://host:10300"'),
        (KITCHEN.replace("0.0.0.0", "a..b"), 'listen must be like "tcp://host:10300"'),
        (KITCHEN.replace("0.0.0.0", 70 * "a"), 'listen must be like "tcp://host:10300"'),
        (KITCHEN.replace("tcp://0", "udp://0"), 'listen must be like "tcp://host:10300"'),
        (KITCHEN.replace(":10350", ":99999"), 'listen must be like "tcp://host:10300"'),
        (KITCHEN.replace('"kitchen"', '"Die Küche"'), "name must be 1 to 32 of a-z 0-9 _ -"),
        (KITCHEN + 'polcy = "gate"\n', "proxy.0.polcy: there is no such setting; did you mean pol"),
        (KITCHEN + 'policy = "open"\n', "must be 'observe', 'tag' or 'gate' (found 'open')"),
        (KITCHEN + 'prefix = "[{name}] "\n', 'prefix goes with policy = "tag"'),
        (KITCHEN + 'policy = "tag"\nprefix = "{nam} "\n', "with {speaker} or {name} in it"),
        (KITCHEN + 'allow = ["anna"]\n', 'allow goes with policy = "gate"'),
        (
            '[[wyoming.proxy]]\nname = "a"\nlisten = "tcp://0.0.0.0:1"\npolicy = "gate"\n',
            'policy = "gate" needs an upstream',
        ),
    ],
)
def test_what_can_not_be_meant_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, text))
    assert said in str(caught.value)


def test_a_name_that_a_source_has_already_is_refused(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, KITCHEN))
    with pytest.raises(UsageError, match='both called "kitchen"'):
        check_names(["kitchen"], settings.wyoming)
    path = written(tmp_path, f'[audio]\nsources = ["kitchen=device"]\n{KITCHEN}')
    checked = voiceguard("config", "check", path, state=tmp_path)
    assert checked.returncode == 2
    assert "give each stream its own name" in checked.stderr


def test_a_gate_that_names_somebody_who_is_not_enrolled_is_an_error(tmp_path: Path) -> None:
    text = f'[mqtt]\nbroker = "none"\n{KITCHEN}policy = "gate"\nallow = ["ana"]\n'
    checked = voiceguard("config", "check", written(tmp_path, text), state=tmp_path)
    assert checked.returncode == 2
    assert "wyoming.proxy 'kitchen': allow names 'ana', who is not enrolled" in checked.stderr
