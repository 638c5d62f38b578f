"""The units say what systemd understands and voiceguard means; the sandbox stays tight."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.services import require_program
from voiceguard.errors import ExitCode
from voiceguard.voiceprints.key import CREDENTIAL_NAME

UNITS = Path(__file__).resolve().parents[2] / "systemd"
SYSTEM_UNIT, USER_UNIT = "voiceguard.service", "voiceguard-user.service"


def installed(unit: str, folder: Path) -> Path:
    """A copy of a unit whose program exists, as after an installation."""
    text = (UNITS / unit).read_text(encoding="utf-8")
    for program in ("/opt/voiceguard/bin/voiceguard", "%h/.local/bin/voiceguard"):
        text = text.replace(program, "/bin/true")
    assert "ExecStart=/bin/true " in text, f"{unit} starts another program than this test expects"
    path = folder / unit
    path.write_text(text, encoding="utf-8")
    return path


def analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [require_program("systemd-analyze"), "--no-pager", *arguments],
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,  # it takes 0.2 s; a CI machine may stall
        check=False,
    )


def values_of(unit: str, key: str) -> list[str]:
    lines = (UNITS / unit).read_text(encoding="utf-8").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]


@pytest.mark.parametrize(("unit", "manager"), [(SYSTEM_UNIT, "--system"), (USER_UNIT, "--user")])
def test_systemd_has_nothing_to_say_against_the_unit(
    unit: str, manager: str, tmp_path: Path
) -> None:
    result = analyze(tmp_path, manager, "verify", str(installed(unit, tmp_path)))

    assert (result.returncode, result.stderr) == (0, "")


def test_a_misspelt_key_would_be_noticed(tmp_path: Path) -> None:
    path = installed(SYSTEM_UNIT, tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("UMask=", "Umask="), encoding="utf-8")

    assert "Umask" in analyze(tmp_path, "--system", "verify", str(path)).stderr


def test_the_system_unit_is_exposed_by_2_of_10_at_most(tmp_path: Path) -> None:
    path = installed(SYSTEM_UNIT, tmp_path)

    result = analyze(tmp_path, "security", "--offline=true", "--threshold=20", str(path))

    assert result.returncode == 0, result.stdout.splitlines()[-1]


@pytest.mark.parametrize("unit", [SYSTEM_UNIT, USER_UNIT])
def test_a_wrong_configuration_is_not_tried_again_and_again(unit: str) -> None:
    assert values_of(unit, "Restart") == ["on-failure"]
    assert values_of(unit, "RestartPreventExitStatus") == [str(int(ExitCode.USAGE))]


def test_the_key_comes_by_the_name_under_which_the_store_looks_for_it() -> None:
    """And without a path: an absolute one that does not exist would keep the service down."""
    assert CREDENTIAL_NAME in values_of(SYSTEM_UNIT, "LoadCredential")
