"""The wheel, alone in a fresh virtual environment, does what the checkout does."""

from __future__ import annotations

import json
import shlex
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.packages.first_minutes import measure
from tests.packages.installation import REPOSITORY, run
from voiceguard.demo.scene import FOLDER
from voiceguard.errors import DISTRIBUTION, ExitCode
from voiceguard.types import VERSION

if TYPE_CHECKING:
    from tests.packages.installation import Installed

SHIPPED = {
    "service/units/voiceguard.service": "systemd/voiceguard.service",
    "service/units/voiceguard-user.service": "systemd/voiceguard-user.service",
    "service/defaults/voiceguard.toml": "config/voiceguard.toml",
    "service/requirements-light.txt": "requirements-light.txt",
    "service/defaults/home-assistant/guest_mode.yaml": "config/home-assistant/guest_mode.yaml",
}
"""Where it is in the package, and where in the repository."""


def test_the_packages_have_the_distributions_name(installed: Installed) -> None:
    stem = f"{DISTRIBUTION.replace('-', '_')}-{VERSION}"
    assert installed.wheel.name == f"{stem}-py3-none-any.whl"
    assert installed.source.name == f"{stem}.tar.gz"
    assert installed.voiceguard("--version").stdout == f"voiceguard {VERSION}\n"


def test_the_wheel_carries_units_and_commented_configuration(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        for name, original in SHIPPED.items():
            assert wheel.read(f"voiceguard/{name}") == (REPOSITORY / original).read_bytes()


def test_code_finds_them_where_they_are_installed(installed: Installed) -> None:
    code = (
        "import sys; from importlib.resources import files;"
        "sys.exit(sum(not files('voiceguard').joinpath(name).is_file() for name in sys.argv[1:]))"
    )
    run([str(installed.programs / "python"), "-c", code, *SHIPPED], home=installed.home)


def test_the_source_distribution_holds_no_link(installed: Installed) -> None:
    """Or whoever unpacks it without the link's target builds a wheel that lacks a file."""
    with tarfile.open(installed.source) as archive:
        assert [each.name for each in archive if not (each.isfile() or each.isdir())] == []


def test_the_source_distribution_holds_what_readme_names(installed: Installed) -> None:
    with tarfile.open(installed.source) as archive:
        names = {each.name.partition("/")[2] for each in archive}
    pages = {f"docs/{page.name}" for page in (REPOSITORY / "docs").glob("*.md")}
    assert pages | {"CONTRIBUTING.md", "CHANGELOG.md", "docs/pictures/scene.svg"} <= names


def test_a_missing_configuration_is_answered_with_the_one_to_copy(installed: Installed) -> None:
    done = installed.voiceguard("run", "--config", "none.toml", is_ok=False)
    assert done.returncode == ExitCode.USAGE
    named = next(installed.home.rglob("site-packages/voiceguard/service/defaults/voiceguard.toml"))
    assert str(named) in done.stderr


def test_nothing_of_the_checkout_or_of_the_extras_is_in_reach(installed: Installed) -> None:
    code = (
        "import importlib.util as u, voiceguard; print(voiceguard.__file__);"
        "print([n for n in ('amqtt', 'onnx', 'pytest', 'psutil') if u.find_spec(n)])"
    )
    done = run([str(installed.programs / "python"), "-c", code], home=installed.home)
    where, found = done.stdout.splitlines()
    assert Path(where).is_relative_to(installed.home)
    assert found == "[]"


def test_it_enrolls_and_recognises(installed: Installed) -> None:
    takes = map(str, sorted(FOLDER.glob("enroll-*.opus")))
    installed.voiceguard("enroll", "robin", "--yes", "--from", *takes)
    heard = FOLDER / "scene-4-slt.opus"

    words = ("run", "--broker", "none", "--source", f"file:{heard}", "--fast", "--json")
    last = installed.voiceguard(*words).stdout.splitlines()[-1]

    decision = json.loads(last)
    assert (decision["outcome"], decision["speaker"]) == ("accepted", "robin")


def test_the_demo_does_without_a_broker_and_says_so_first(installed: Installed) -> None:
    done = installed.voiceguard("demo", "--fast", "--json")

    *_, summary = map(json.loads, done.stdout.splitlines())
    assert summary["is_success"]
    assert summary["num_accepted"] >= 2
    first, *others = done.stderr.splitlines()
    assert others == []
    said, _, command = first.partition("to have it, run: ")
    assert said.startswith("MQTT is left out")
    python, *arguments = shlex.split(command)
    assert Path(python).parent == installed.programs
    assert arguments[:-1] == ["-m", "pip", "install"]
    assert arguments[-1].startswith("amqtt>=")


async def test_unattended_set_up_to_the_first_accept_over_mqtt_takes_half_a_minute(
    installed: Installed, tmp_path: Path
) -> None:
    """Of the program's own time: recordings take the place of somebody who reads."""
    measured = await measure([str(installed.programs / "voiceguard")], tmp_path)
    assert measured["speaker"] == "robin"
    assert measured["processor_s"] <= 30
