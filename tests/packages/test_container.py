"""The container's steps, without a container engine: what it installs, and how it starts."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.packages.installation import REPOSITORY
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.packages.installation import Installed

FOLDER = REPOSITORY / "packaging" / "container"
MAX_MB = 330
"""Of the environment; the image of Python that it stands on has some 120."""


def start(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """start.sh with a seed of one encoder, and ``voiceguard`` that says how it was called."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "voiceguard").write_text('#!/bin/sh\necho "called: $*"\n')
    (programs / "voiceguard").chmod(0o755)
    seed = folder / "seed" / "campplus"
    seed.mkdir(parents=True, exist_ok=True)
    (seed / "model.json").write_text("of the image")
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SEED_MODELS": str(folder / "seed"),
        "VOICEGUARD_STATE_DIR": str(folder / "data"),
    }
    return subprocess.run(
        ["sh", str(FOLDER / "start.sh"), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def test_it_starts_with_the_encoders_of_the_image(tmp_path: Path) -> None:
    assert start(tmp_path, "run", "--json").stdout == "called: run --json\n"
    card = tmp_path / "data" / "models" / "campplus" / "model.json"
    assert card.read_text() == "of the image"
    assert [each.name for each in card.parent.parent.iterdir()] == ["campplus"]

    card.write_text("somebody's own")
    start(tmp_path, "run")
    assert card.read_text() == "somebody's own"


def test_without_encoders_it_starts_too(tmp_path: Path) -> None:
    start(tmp_path, "run")
    (tmp_path / "seed" / "campplus" / "model.json").unlink()
    (tmp_path / "seed" / "campplus").rmdir()
    done = start(tmp_path, "doctor")
    assert done.stdout == "called: doctor\n"


def test_what_it_installs_is_small_and_no_tool_is_left(light: Installed) -> None:
    """The fixture installs by the container's own script."""
    environment = light.programs.parent
    files = [each for each in environment.rglob("*") if each.is_file() and not each.is_symlink()]
    assert sum(each.stat().st_size for each in files) <= MAX_MB * 1e6
    assert not [each for each in environment.rglob("pip") if "site-packages" in each.parts[-2:]]
    assert not list(light.programs.glob("pip*"))
    assert not list(environment.rglob("silero_vad.jit"))


@pytest.mark.parametrize("name", ["compose.yaml", "compose.mosquitto.yaml"])
def test_compose_files_give_it_nothing_that_it_need_not_have(name: str) -> None:
    services = yaml.safe_load((FOLDER / name).read_text("utf-8"))["services"]
    ours = services["voiceguard"]
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert "privileged" not in ours
    built = FOLDER / ours["build"]["context"] / ours["build"]["dockerfile"]
    assert built.resolve() == FOLDER / "Containerfile"
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_containerfile_copies_what_is_there_and_ends_as_nobody() -> None:
    text = (FOLDER / "Containerfile").read_text("utf-8")
    copied = re.findall(r"(?m)^COPY (?!--)(\S+) ", text)
    assert copied
    assert all((REPOSITORY / each).exists() for each in copied)
    assert re.findall(r"(?m)^USER (\S+)$", text) == ["voiceguard"]
    assert "torch" not in re.sub(r"(?m)^#.*$", "", text)


def test_what_is_called_a_setting_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Voiceguard refuses every other variable of that name."""
    addon = REPOSITORY / "packaging" / "home-assistant-addon"
    files = [*FOLDER.iterdir(), addon / "Dockerfile", addon / "start.py"]
    text = "".join(each.read_text("utf-8") for each in files)
    named = set(re.findall(r"VOICEGUARD_\w+", text))
    assert named
    for variable in named:
        value = "true" if variable.endswith("WAIT_FOR_DEVICE") else str(tmp_path)
        monkeypatch.setenv(variable, value)
    load_settings(None)
