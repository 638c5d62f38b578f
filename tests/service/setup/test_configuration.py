"""Set-up writes what was answered, keeps all else, and never leaves half of it."""

from __future__ import annotations

import os
import stat
import tomllib
from typing import TYPE_CHECKING

import pytest

from voiceguard.errors import ConfigError, StateError
from voiceguard.service.setup.configuration import check_writable, edited, write_config

if TYPE_CHECKING:
    from pathlib import Path

OWN = """\
# mine
[audio]
sources = ["stdin"]   # the baby monitor

[policy]
p_fa = 0.001  # no strangers
"""


@pytest.fixture(autouse=True)
def no_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("VOICEGUARD_STATE_DIR", str(tmp_path / "state"))


def test_comments_and_other_settings_stay() -> None:
    new = edited(OWN, {"audio": {"sources": ["device:usb"]}, "mqtt": {"broker": "mqtt://home"}})
    assert '# mine\n[audio]\nsources = ["device:usb"]   # the baby monitor\n' in new
    assert "p_fa = 0.001  # no strangers" in new
    assert '[mqtt]\nbroker = "mqtt://home"\n' in new


def test_what_is_written_is_read_back_and_the_password_is_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "voiceguard.toml"
    changes = {"mqtt": {"broker": "mqtt://home", "username": "me"}}
    settings = write_config(path, changes, password="hunter2")
    secret = path.with_name("mqtt-password")
    assert settings.mqtt.password_file == secret
    assert secret.read_text() == "hunter2\n"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "hunter2" not in path.read_text()
    again = write_config(path, {"mqtt": {"broker": "none", "username": None}})
    assert (again.mqtt.broker, again.mqtt.username) == ("none", None)


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "voiceguard.toml"
    path.write_text(OWN)
    path.chmod(0o640)
    write_config(path, {"mqtt": {"broker": "none"}})
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("changes", [{"mqtt": {"broker": "nonsense"}}, {"nowhere": {"a": 1}}])
def test_a_configuration_that_would_be_wrong_is_not_written(
    changes: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    path = tmp_path / "voiceguard.toml"
    path.write_text(OWN)
    with pytest.raises(ConfigError):
        write_config(path, changes, password="secret")
    assert path.read_text() == OWN
    assert [each.name for each in tmp_path.iterdir()] == ["voiceguard.toml"]


def test_what_is_no_toml_is_told_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "voiceguard.toml"
    path.write_text("[audio\n")
    with pytest.raises(ConfigError, match="no TOML"):
        write_config(path, {"mqtt": {"broker": "none"}})
    assert path.read_text() == "[audio\n"


def test_a_place_that_cannot_be_written_is_told_before_anybody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"cannot write the configuration .*file is no directory"):
        check_writable(tmp_path / "file" / "voiceguard.toml")
    with pytest.raises(StateError, match="it is a directory"):
        check_writable(tmp_path)
    check_writable(tmp_path / "new" / "voiceguard.toml")
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(StateError, match="cannot write"):
            check_writable(tmp_path / "new" / "voiceguard.toml")
        tmp_path.chmod(0o700)


def test_a_setting_of_no_table_stands_before_the_tables() -> None:
    text = edited('# mine\n\n[mqtt]\nbroker = "none"\n', {"": {"state_dir": "/elsewhere"}})
    assert tomllib.loads(text) == {"state_dir": "/elsewhere", "mqtt": {"broker": "none"}}
    assert text.startswith("# mine\n")
