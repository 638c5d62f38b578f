"""What says how to install a missing package is right where it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from voiceguard import errors
from voiceguard.errors import DISTRIBUTION, install_command

if TYPE_CHECKING:
    import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_command_is_this_pythons_and_asks_for_what_the_distribution_asks_for() -> None:
    *command, requirement = shlex.split(install_command("silero-vad"))
    assert command == [sys.executable, "-m", "pip", "install"]
    assert requirement in PROJECT["dependencies"]


def test_a_shell_reads_it_as_it_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a blank in the path nor a ">" in the requirement may end a word."""
    monkeypatch.setattr(sys, "executable", "/home/an na/.venv/bin/python")
    words = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\n' {install_command('amqtt', 'huggingface-hub')}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert words[0] == "/home/an na/.venv/bin/python"
    assert words[4].startswith("amqtt>=")
    assert words[5].startswith("huggingface_hub>=")


def test_a_package_that_the_distribution_does_not_name_goes_by_its_name() -> None:
    assert install_command("something-else").endswith(" install something-else")


def test_a_checkout_that_is_not_installed_reads_its_pyproject(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = install_command("amqtt", "torch")

    def find_nothing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", find_nothing)
    assert install_command("amqtt", "torch") == installed


def test_somebody_elses_pyproject_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\nname = "other"\ndependencies = ["amqtt==0.1"]\n')
    assert errors._stated_by_checkout(path) == []
    assert errors._stated_by_checkout(tmp_path / "none.toml") == []


def test_no_package_is_asked_for_in_two_versions() -> None:
    asked: dict[str, set[str]] = {}
    extras = PROJECT["optional-dependencies"].values()
    for requirement in [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]:
        asked.setdefault(errors._normalised(requirement), set()).add(requirement)
    assert {name: each for name, each in asked.items() if len(each) > 1} == {}


def test_the_distribution_has_the_name_that_is_looked_up() -> None:
    assert PROJECT["name"] == DISTRIBUTION


def test_nowhere_is_somebody_elses_package_recommended() -> None:
    """``voiceguard`` on the package index is not this; an index knows ours as voiceguard-daemon."""
    theirs = re.compile(
        r"\b(pipx?|uv|uv tool) install\b[^\n`]*\s['\"]?voiceguard(?![-/.\w])|\bvoiceguard\\*\[[a-z]"
    )
    places = ("voiceguard", "docs", "config", "systemd", "*.md", "Makefile", "pyproject.toml")
    listed = subprocess.run(
        ["git", "ls-files", "-z", *places], cwd=REPOSITORY, capture_output=True, check=True
    )
    read = 0
    for name in listed.stdout.decode().split("\0")[:-1]:
        path = REPOSITORY / name
        if path.is_dir() or b"\0" in (content := path.read_bytes()):
            continue
        read += 1
        found = theirs.search(content.decode())
        assert found is None, f"{name}: {found}"
    assert read > 200
