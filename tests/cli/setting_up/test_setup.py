"""``voiceguard setup`` as a person and as a script go through it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.cli.command import voiceguard
from tests.cli.terminal import Terminal
from tests.integration.mosquitto import mosquitto
from tests.services import free_port
from voiceguard.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

OWN = "# mine\n[policy]\np_fa = 0.001  # no strangers\n"


async def test_a_conversation_ends_in_a_configuration_that_works(tmp_path: Path) -> None:
    """In a window of 60 columns; the broker wants a login, and the first password is wrong."""
    config = tmp_path / "voiceguard.toml"
    config.write_text(OWN)
    async with mosquitto(tmp_path / "broker", users={"me": "secret"}) as broker:
        arguments = ("setup", "--broker", broker.url, "--config", config)
        with Terminal(*arguments, state=tmp_path / "state", columns=60) as terminal:
            terminal.wait_for("User [voiceguard]:")
            terminal.answer("me")
            terminal.wait_for("Password (not shown):")
            terminal.answer("wrong")
            terminal.wait_for("User [me]:")
            terminal.answer("")
            terminal.wait_for("Password (not shown):")
            terminal.answer("secret")
            terminal.wait_for("works")
            assert "secret" not in terminal.said
            asks_next = ("Take campplus?", "Enter for nobody now")  # as the machine can carry it
            terminal.read_until(lambda: any(each in terminal.said for each in asks_next))
            if asks_next[0] in terminal.said:
                terminal.answer("n")
            terminal.wait_for("Enter for nobody now")
            terminal.answer("")
            assert terminal.finish() == 0, terminal.said
            assert "voiceguard run" in terminal.said
    written = config.read_text()
    assert written.startswith(OWN)
    assert f'broker = "{broker.url}"' in written
    assert 'username = "me"' in written
    assert (tmp_path / "mqtt-password").read_text() == "secret\n"


def test_ctrl_c_leaves_what_was(tmp_path: Path) -> None:
    config = tmp_path / "voiceguard.toml"
    config.write_text(OWN)
    arguments = ("setup", "--broker", "none", "--config", config)
    with Terminal(*arguments, state=tmp_path / "state") as terminal:
        terminal.wait_for("Broker")
        terminal.wait_for("]:" if "Encoder" in terminal.said else "?")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() == ExitCode.INTERRUPTED
    assert config.read_text() == OWN
    assert not list((tmp_path / "state").glob("voiceprints/*"))


def test_a_broker_that_is_not_there_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    config = tmp_path / "voiceguard.toml"
    url = f"mqtt://127.0.0.1:{free_port()}"
    done = voiceguard(
        "setup", "--unattended", "--broker", url, "--config", config, state=tmp_path / "state"
    )
    assert done.returncode == ExitCode.BROKER
    assert "nothing listens there" in done.stderr
    assert not config.exists()


def test_unattended_it_can_be_run_again_and_asks_nothing(tmp_path: Path) -> None:
    config = tmp_path / "voiceguard.toml"
    config.write_text(OWN)
    for source in ("device:usb", "device"):
        done = voiceguard(
            *("setup", "--unattended", "--broker", "none", "--source", source),
            *("--config", config),
            state=tmp_path / "state",
        )
        assert done.returncode == 0, done.stderr
        assert f'sources = ["{source}"]' in config.read_text()
    assert config.read_text().startswith(OWN)


def test_a_service_where_there_is_no_systemd_is_told_before_anything_is_written(
    tmp_path: Path,
) -> None:
    config = tmp_path / "voiceguard.toml"
    done = voiceguard(
        *("setup", "--unattended", "--broker", "none", "--service", "user", "--config", config),
        state=tmp_path / "state",
        environment={"PATH": str(tmp_path)},
    )
    assert done.returncode == ExitCode.FAILURE
    assert "no systemctl here" in done.stderr
    assert not config.exists()
