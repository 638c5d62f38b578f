"""No command, wherever a broker's address stands and however broken it is, repeats a credential."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.cli.forked import Forks
from tests.cli.test_commands import every_command
from tests.mqtt.broken_urls import broken_urls
from voiceguard.cli.credentials import without_credentials
from voiceguard.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARGUMENTS = {
    "enroll": ["ann", "--yes", "--from", "none.wav"],
    "verify": ["ann", "none.wav"],
    "identify": ["none.wav"],
    "embed": ["none.wav"],
    "evaluate": ["nowhere"],
    "calibrate": ["nowhere"],
    "cohort": ["nowhere", "--out", "none.safetensors"],
    "train": ["nowhere", "--out", "none.safetensors"],
    "voiceprints show": ["ann"],
    "voiceprints remove": ["ann", "--yes"],
    "voiceprints export": ["--out", "none.export"],
    "voiceprints import": ["none.export"],
    "models remove": ["none"],
    "models use": ["none"],
    "models import": ["none"],
    "models pull": ["none"],
    "setup": ["--unattended", "--from", "none.wav"],  # whose voice is not said
    "service enroll": ["ann"],
    "demo": ["--no-such-option"],
}
"""What a command needs to get as far as its settings; of the demo, which plays for a minute with
settings of its own, only the command line."""
COMMANDS = [name for name, _ in every_command()]
PLACES = ("environment", "file", "argument", "option", "option=", "wrong option", "config")


class Home:
    """A state directory and a configuration, of which nothing is there but a broker's address."""

    def __init__(self, directory: Path, forks: Forks) -> None:
        self._directory = directory
        self._forks = forks

    def run(self, command: str, place: str, url: str) -> tuple[int, str]:
        config = self._directory / "config" / "voiceguard" / "voiceguard.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.unlink(missing_ok=True)
        environment = {
            "VOICEGUARD_STATE_DIR": str(self._directory / "state"),
            "XDG_CONFIG_HOME": str(self._directory / "config"),
            "VOICEGUARD_LOG__LEVEL": "debug",
        }
        argv = [*command.split(), *ARGUMENTS.get(command, [])]
        if place == "environment":
            environment["VOICEGUARD_MQTT__BROKER"] = url
        elif place == "file":
            config.write_text(f"[mqtt]\nbroker = {json.dumps(url)}\n")
        else:
            argv += {
                "argument": [url],
                "option": ["--broker", url],
                "option=": [f"--broker={url}"],
                "wrong option": [f"--broke={url}"],
                "config": ["--config", url],
            }[place]
        done = self._forks.run(argv, environment)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with Forks() as forks:
        yield Home(tmp_path_factory.mktemp("home"), forks)


@pytest.mark.parametrize("place", ["environment", "file", "argument"])
def test_no_command_repeats_a_password(home: Home, place: str) -> None:
    for command in COMMANDS:
        code, said = home.run(command, place, "mqtt://ann:hunter2@host")
        assert "hunter" not in said, (command, said)
        assert "Traceback" not in said, (command, said)
        assert code >= 0, command
        if place == "file" and command == "run":
            assert code == ExitCode.USAGE
            assert "must not contain a password" in said


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(COMMANDS), st.sampled_from(PLACES), broken_urls())
@example("embed", "argument", "mqtt://user:hunter2@host")
@example("run", "argument", "user:'hunter2@host")
@example("run", "argument", "mqtt://user:\thunter2@host")
def test_no_part_of_a_credential_is_repeated(
    home: Home, command: str, place: str, url: str
) -> None:
    code, said = home.run(command, place, url)
    assert "hunter" not in said
    assert code >= 0


def test_what_is_no_login_is_repeated() -> None:
    arguments = ["a@b.wav", "C:x", "mqtt://host", "--label=12:30"]
    assert without_credentials(str(arguments), arguments) == str(arguments)
