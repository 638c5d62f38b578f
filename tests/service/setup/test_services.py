"""The unit is written, enabled and started; each thing in the way is a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import require_program
from voiceguard.errors import StateError
from voiceguard.service.setup.credential import with_credential
from voiceguard.service.setup.units import Service

ANSWERS = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *is-system-running*) echo running ;;
  *is-active*) echo active ;;
  *is-enabled*) echo enabled ;;
  *restart*) exit {restart} ;;
esac
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the system's service takes root")


def install_systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch, *, restart: int = 0) -> Path:
    """A systemctl that says yes and keeps what it was told; returns where."""
    programs, log = folder / "programs", folder / "told"
    programs.mkdir()
    log.touch()
    for name in ("systemctl", "journalctl"):
        text = ANSWERS.format(log=log, restart=restart)
        (programs / name).write_text(text if name == "systemctl" else "#!/bin/sh\necho no key\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("VOICEGUARD_STATE_DIR", str(folder / "state"))
    return log


def test_the_users_unit_is_written_enabled_started_and_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = install_systemctl(tmp_path, monkeypatch)
    service = Service(of_user=True)
    assert service.install() == tmp_path / "config/systemd/user/voiceguard.service"
    unit = service.path.read_text()
    program = Path(sys.executable).with_name("voiceguard")
    assert f"ExecStart={program} run\n" in unit
    assert told.read_text().splitlines()[1:] == [
        "--user daemon-reload",
        "--user enable voiceguard.service",
        "--user restart voiceguard.service",
    ]
    assert service.state()["active"] == "active"
    assert service.uninstall()
    assert not service.path.exists()
    assert "--user disable --now voiceguard.service" in told.read_text()
    assert not service.uninstall()


def test_a_unit_with_a_strange_path_is_what_systemd_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my 100% $HOME"
    folder.mkdir()
    config = folder / "voiceguard.toml"
    config.write_text('[mqtt]\nbroker = "none"\n')
    install_systemctl(tmp_path, monkeypatch)
    unit = Service(of_user=True).install(config)
    done = subprocess.run(
        [require_program("systemd-analyze"), "--user", "--no-pager", "verify", str(unit)],
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert 'my 100%% $$HOME/voiceguard.toml"' in unit.read_text()


def test_a_service_that_does_not_start_says_what_its_log_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_systemctl(tmp_path, monkeypatch, restart=1)
    with pytest.raises(StateError, match="does not start: no key") as caught:
        Service(of_user=True).install()
    assert "journalctl --user -u voiceguard" in caught.value.hint


def test_a_machine_without_systemd_is_told_what_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StateError, match="no systemctl here") as caught:
        Service(of_user=True).install()
    assert "voiceguard run" in caught.value.hint


@needs_root
def test_the_systems_service_gets_configuration_and_password_from_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_systemctl(tmp_path, monkeypatch)
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    own = tmp_path / "config/voiceguard/voiceguard.toml"
    own.parent.mkdir(parents=True)
    own.write_text(
        f'[mqtt]\nbroker = "mqtt://home"\nusername = "me"\npassword_file = "{secret}"\n'
        '[audio]\nsources = ["device:usb"]\n'
    )
    monkeypatch.setattr(sys, "executable", "/opt/voiceguard/bin/python3")
    service = Service(of_user=False, root=tmp_path / "root")
    service.install()
    config = tmp_path / "root/etc/voiceguard/voiceguard.toml"
    assert 'broker = "mqtt://home"' in config.read_text()
    assert 'sources = ["device:usb"]' in config.read_text()
    assert 'password_file = "/run/credentials/voiceguard.service/voiceguard-mqtt"' in (
        config.read_text()
    )
    credential = tmp_path / "root/etc/credstore/voiceguard-mqtt"
    assert credential.read_text() == "hunter2\n"
    assert credential.stat().st_mode & 0o777 == 0o600
    started = f"ExecStart=/opt/voiceguard/bin/python3 -m voiceguard run --config {config}\n"
    assert started in service.path.read_text()
    monkeypatch.setattr(sys, "executable", "/root/venv/bin/python3")
    with pytest.raises(StateError, match="may not see /root/venv"):
        service.install()


def test_enrolling_for_the_system_uses_its_account_key_and_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/voiceguard/bin/python3")
    command = Service(of_user=False).enrolling(["anna", "--add"])
    assert command[:2] == ["systemd-run", "--pty"]
    assert "--property=LoadCredential=voiceguard-key" in command
    assert "--property=StateDirectory=voiceguard" in command
    assert command[-5:] == ["-m", "voiceguard", "enroll", "anna", "--add"]


@needs_root
def test_a_debian_packages_unit_is_started_and_stopped_and_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = install_systemctl(tmp_path, monkeypatch)
    monkeypatch.setattr(sys, "executable", "/opt/voiceguard/bin/python3")
    service = Service(of_user=False, root=tmp_path / "root")
    assert not service.is_packaged
    packaged = tmp_path / "root/usr/lib/systemd/system/voiceguard.service"
    packaged.parent.mkdir(parents=True)
    packaged.write_text("the package's")
    service.config.parent.mkdir(parents=True)
    service.config.write_text('[mqtt]\nbroker = "none"\n')

    assert service.install() == packaged
    assert packaged.read_text() == "the package's"
    assert service.config.read_text() == '[mqtt]\nbroker = "none"\n'
    assert "--property=DynamicUser=no" in service.enrolling(["anna"])
    assert told.read_text().splitlines()[-1] == "restart voiceguard.service"

    assert service.uninstall()
    assert packaged.exists()
    assert told.read_text().splitlines()[-1] == "disable --now voiceguard.service"

    another = tmp_path / "another.toml"
    another.write_text("")
    assert service.install(another) == tmp_path / "root/etc/systemd/system/voiceguard.service"


@pytest.mark.parametrize("kind", ["a FIFO", "a directory"])
def test_a_password_file_that_is_none_is_refused_and_not_waited_for(
    kind: str, tmp_path: Path
) -> None:
    named = tmp_path / "secret"
    if kind == "a FIFO":
        os.mkfifo(named, 0o600)
    else:
        named.mkdir()
    with pytest.raises(StateError, match=f"cannot read .*secret: it is {kind}"):
        with_credential(tmp_path / "root", {"password_file": str(named)})
    assert not (tmp_path / "root").exists()
