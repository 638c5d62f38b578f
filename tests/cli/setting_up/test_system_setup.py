"""``voiceguard setup --service system``, with a systemd that says yes."""

from __future__ import annotations

import os
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.service.setup.test_services import install_systemctl
from voiceguard.cli.setting_up.questions import Answers, Login
from voiceguard.cli.setting_up.system_setup import Person, check_options, set_up_system
from voiceguard.errors import UsageError
from voiceguard.service.setup.credential import CREDENTIAL, readable
from voiceguard.service.setup.units import Service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the system's service takes root")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    log = install_systemctl(tmp_path, monkeypatch)
    run = tmp_path / "programs" / "systemd-run"
    run.write_text(f'#!/bin/sh\necho "systemd-run $@" >> {log}\nexit 7\n')
    run.chmod(0o755)
    monkeypatch.setattr(sys, "executable", "/opt/voiceguard/bin/python3")
    return log


def test_configuration_password_person_and_start_are_the_systems(
    told: Path, tmp_path: Path
) -> None:
    service = Service(of_user=False, root=tmp_path / "root")
    take = tmp_path / "take.wav"
    code = set_up_system(
        service,
        Answers(is_asking=False, password="hunter2"),
        source="device:usb",
        broker="none",
        login=Login(),
        person=Person(name="Zoë", files=[take], is_agreed=True, language="de"),
        config=None,
    )
    assert code == 7, "the enrollment's"
    written = tomllib.loads(service.config.read_text())
    assert written["audio"]["sources"] == ["device:usb"]
    assert written["mqtt"]["password_file"] == str(CREDENTIAL)
    kept = readable(service.root, CREDENTIAL)
    assert kept is not None
    assert kept.read_text() == "hunter2\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    *_, stopped, enrolled, _, enabled, restarted = [
        line for line in told.read_text().splitlines() if "is-" not in line
    ]
    assert stopped == "stop voiceguard.service", "a microphone is open once"
    assert enrolled.startswith("systemd-run ")
    assert enrolled.endswith(f" enroll Zoë --from {take} --yes --language de")
    assert (enabled, restarted) == ("enable voiceguard.service", "restart voiceguard.service")

    known = service.state_dir / "voiceprints" / "zoe.voiceprint"
    known.parent.mkdir(parents=True)
    known.touch()
    code = set_up_system(
        service,
        Answers(is_asking=False),
        source=None,
        broker="none",
        login=Login(),
        person=Person(name="Zoë"),
        config=None,
    )
    assert code == 0
    assert tomllib.loads(service.config.read_text()) == written
    assert kept.read_text() == "hunter2\n"


@pytest.mark.parametrize("given", [{"encoder": "campplus"}, {"state_dir": "/elsewhere"}])
def test_what_the_service_has_of_its_own_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        check_options(given.get("encoder"), given.get("state_dir"))  # type: ignore[arg-type]
