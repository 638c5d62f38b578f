"""The Debian package in a clean root, without a network: installed, upgraded, removed, purged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.packages.debian import build
from tests.packages.roots import Root, debian
from tests.services import require_program
from voiceguard.demo.scene import FOLDER as TAKES
from voiceguard.types import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.packages.installation import Installed

NEWER = f"{VERSION}+next1"
AS_THE_SERVICE = (
    "setpriv",
    "--reset-env",
    "--reuid=voiceguard",
    "--regid=voiceguard",
    "--init-groups",
)
STATE = ("--state-dir", "/var/lib/voiceguard")


class Debs(NamedTuple):
    """A root that has what the package depends on, and the package twice."""

    root: Root
    first: Path
    second: Path


@pytest.fixture(scope="module")
def debs(light: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debs]:
    base = debian()
    folder = tmp_path_factory.mktemp("debian")
    first = build(light.wheel, folder, compression="none")
    root = base.copy(folder / "root")
    second = newer(first, folder)
    root.bring([first, second, *TAKES.glob("*.opus")], "/brought/")
    yield Debs(root, first, second)
    shutil.rmtree(root.folder)


def newer(package: Path, folder: Path) -> Path:
    """The same package, called newer, with another default configuration."""
    unpacked = folder / "unpacked"
    subprocess.run(["dpkg-deb", "--raw-extract", package, unpacked], check=True)
    control = unpacked / "DEBIAN" / "control"
    control.write_text(control.read_text().replace(f"Version: {VERSION}\n", f"Version: {NEWER}\n"))
    with (unpacked / "etc/voiceguard/voiceguard.toml").open("a") as file:
        file.write("# of the newer version\n")
    made = folder / f"voiceguard_{NEWER}.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--build", unpacked, made], check=True)
    shutil.rmtree(unpacked)
    return made


def install(debs: Debs, package: Path) -> str:
    """Dpkg alone, without a network: nothing may be fetched."""
    return debs.root.run("dpkg", "--force-confold", "--install", f"/brought/{package.name}").stdout


def test_it_is_as_debian_expects(debs: Debs) -> None:
    told = subprocess.run(
        ["dpkg-deb", "--info", debs.first], capture_output=True, text=True, check=True
    ).stdout
    assert " conffiles" in told
    assert "python3 (>= 3." in told
    listed = subprocess.run(
        ["dpkg-deb", "--contents", debs.first], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert all(" root/root " in line for line in listed)
    assert not [line for line in listed if "/torch/" in line or "/pip/" in line]


NOT_COMPRESSED = "uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball"
"""Which is this test's doing."""


def test_lintian_has_nothing_to_say(debs: Debs) -> None:
    """No error, no warning, and no override that nothing needs any more."""
    lintian = require_program("lintian", make="debian-root")
    options = ("--allow-root", "--fail-on=error,warning", f"--suppress-tags={NOT_COMPRESSED}")
    done = subprocess.run(
        [lintian, *options, debs.first], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "unused-override" not in done.stdout


def test_installed_upgraded_removed_purged(debs: Debs) -> None:
    root = debs.root
    said = install(debs, debs.first)
    assert "sudo voiceguard setup --service system" in said
    state = root.folder / "var/lib/voiceguard"
    assert state.stat().st_mode & 0o777 == 0o700
    account = root.run("id", "voiceguard").stdout
    assert "(audio)" in account
    assert root.run("voiceguard", "--version").stdout == f"voiceguard {VERSION}\n"

    *_, summary = map(
        json.loads, root.run("voiceguard", "demo", "--fast", "--json").stdout.splitlines()
    )
    assert summary["is_success"]
    enrolled = sorted(f"/brought/{each.name}" for each in TAKES.glob("enroll-*.opus"))
    root.run(*AS_THE_SERVICE, "voiceguard", "enroll", "robin", "--yes", "--from", *enrolled, *STATE)
    unit = "usr/lib/systemd/system/voiceguard.service"
    started = next(
        line for line in (root.folder / unit).read_text().splitlines() if "ExecStart=" in line
    )
    program, *words = started.partition("=")[2].split()
    root.run(*AS_THE_SERVICE, program, "config", "check", *words[1:])

    config = root.folder / "etc/voiceguard/voiceguard.toml"
    config.write_text('[mqtt]\nbroker = "mqtt://somewhere"\n')
    install(debs, debs.second)
    assert config.read_text() == '[mqtt]\nbroker = "mqtt://somewhere"\n'
    heard = "/brought/scene-4-slt.opus"
    verified = root.run(*AS_THE_SERVICE, "voiceguard", "verify", "robin", heard, "--json", *STATE)
    assert json.loads(verified.stdout)["outcome"] == "accepted"

    root.run("dpkg", "--remove", "voiceguard")
    assert not (root.folder / "opt/voiceguard").exists()
    assert (state / "voiceprints").is_dir()
    assert config.exists()

    root.run("dpkg", "--purge", "voiceguard")
    for path in ("opt/voiceguard", "etc/voiceguard", "var/lib/voiceguard", unit):
        assert not os.path.lexists(root.folder / path), path
    assert root.run("id", "voiceguard", is_ok=False).returncode != 0
    left = [each for each in root.folder.rglob("*voiceguard*") if "brought" not in each.parts]
    assert left == []


def test_an_upgrade_takes_the_configuration_that_nobody_changed(debs: Debs) -> None:
    install(debs, debs.first)
    install(debs, debs.second)
    config = debs.root.folder / "etc/voiceguard/voiceguard.toml"
    assert config.read_text().endswith("# of the newer version\n")
    debs.root.run("dpkg", "--purge", "voiceguard")
