"""The container's steps, without a container engine: what it installs, and how it starts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.packages import containers
from tests.packages.installation import REPOSITORY
from tests.packages.making import copy_checkout
from tests.packages.roots import debian
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.packages.installation import Installed

FOLDER = REPOSITORY / "packaging" / "container"
MAX_MB = 360
"""Of the environment; what it stands on has some 130."""
MAX_IMAGE_MB, MAX_GZIPPED_MB = 480, 220
SLIM = "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache"
"""What the image of Python that the container stands on has nothing in."""
CLEAN = """
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
"""
"""As apt is set up in every Debian image."""
COMPOSE = ["compose.yaml", "compose.mosquitto.yaml", "compose.satellites.yaml"]


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


def service(name: str) -> dict[str, Any]:
    """voiceguard's, of a compose file."""
    services = yaml.safe_load((FOLDER / name).read_text("utf-8"))["services"]
    found: dict[str, Any] = services["voiceguard"]
    return found


@pytest.mark.parametrize("name", COMPOSE)
def test_compose_files_give_it_nothing_that_it_need_not_have(name: str) -> None:
    services = yaml.safe_load((FOLDER / name).read_text("utf-8"))["services"]
    ours = service(name)
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert "privileged" not in ours
    built = FOLDER / ours["build"]["context"] / ours["build"]["dockerfile"]
    assert built.resolve() == FOLDER / "Containerfile"
    for other in services:
        if other != "voiceguard":
            ports = services[other].get("ports", ())
            assert all(port.startswith("127.0.0.1:") for port in ports)


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


def test_the_satellites_compose_file_opens_the_ports_of_its_rooms() -> None:
    ours = service("compose.satellites.yaml")
    mounted = next(each for each in ours["volumes"] if each.startswith("./"))
    settings = load_settings(FOLDER / mounted.split(":")[0])
    assert ours["command"].split()[-1] == mounted.split(":")[1]
    assert settings.audio.sources == ()
    rooms = [each.listen.rpartition(":")[2] for each in settings.wyoming.proxy]
    assert ours["ports"] == [f"{port}:{port}" for port in rooms]


# --- the image, built in a folder by its own Containerfile ------------------------------------


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[containers.Stage]:
    """Takes minutes: Debian's packages and the index's are fetched as an engine would."""
    base = debian()
    folder = tmp_path_factory.mktemp("image")
    slim = base.copy(folder / "slim")
    slim.run("sh", "-c", f"rm -rf {' '.join(f'/{each}/*' for each in SLIM)}")
    (slim.folder / "etc/apt/apt.conf.d/docker-clean").write_text(CLEAN)
    copy_checkout(folder / "checkout")
    built = containers.follow(
        FOLDER / "Containerfile", folder / "checkout", slim, folder / "stages"
    )
    yield built
    shutil.rmtree(folder)


def test_the_image_is_small(image: containers.Stage, record_property: Any) -> None:  # noqa: ANN401
    unpacked_mb, gzipped_mb = image.root.num_bytes / 1e6, containers.gzipped_mb(image.root)
    record_property("unpacked_mb", unpacked_mb)
    record_property("gzipped_mb", gzipped_mb)
    print(f"{unpacked_mb:.0f} MB unpacked, {gzipped_mb:.0f} MB gzipped")
    assert unpacked_mb <= MAX_IMAGE_MB
    assert gzipped_mb <= MAX_GZIPPED_MB


@pytest.mark.parametrize("name", COMPOSE)
def test_the_demo_runs_in_the_image_as_the_compose_file_asks(
    image: containers.Stage, name: str, tmp_path: Path
) -> None:
    data = volume(image, tmp_path)
    done = containers.run(image, service(name), data, "demo", "--fast", "--json")
    *_, summary = map(json.loads, done.stdout.splitlines())
    assert summary["is_success"]


def test_in_the_image_only_the_volume_can_be_written(
    image: containers.Stage, tmp_path: Path
) -> None:
    data = volume(image, tmp_path)
    listed = containers.run(image, service("compose.yaml"), data, "models", "list", "--json").stdout
    brought = next(each.name for each in (data / "models").iterdir())
    assert brought.startswith("campplus")
    assert f'"{brought}", "state": "installed"' in listed
    elsewhere = ("run", "--source", "stdin", "--broker", "none", "--state-dir", "/opt/elsewhere")
    done = containers.run(image, service("compose.yaml"), data, *elsewhere, is_ok=False)
    assert "read-only" in done.stderr.lower()
    assert "Traceback" not in done.stderr


def volume(image: containers.Stage, folder: Path) -> Path:
    """What an engine makes of VOLUME: a copy of the folder in the image, with its owner."""
    subprocess.run(["cp", "-a", image.root.folder / "data", folder / "data"], check=True)
    folder.chmod(0o711)
    return folder / "data"
