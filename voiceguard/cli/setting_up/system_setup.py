"""``voiceguard setup --service system``: the machine's own, with its configuration and people."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from voiceguard.cli.output import stderr, stdout
from voiceguard.cli.setting_up.questions import (
    Answers,
    Login,
    heading,
    settle_broker,
    settle_microphone,
)
from voiceguard.errors import ExitCode, UsageError
from voiceguard.paths import enrolled_in
from voiceguard.service.setup.configuration import check_writable, write_config
from voiceguard.service.setup.credential import readable, with_credential
from voiceguard.settings import load_settings
from voiceguard.voiceprints.names import name_for

if TYPE_CHECKING:
    from voiceguard.service.setup.units import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom to enroll, as ``voiceguard enroll`` is told."""

    name: str | None = None
    files: list[Path] = field(default_factory=list)
    is_agreed: bool = False
    language: str | None = None

    def arguments(self, name: str) -> list[str]:
        """Of ``voiceguard enroll``."""
        recorded = [word for each in self.files for word in ("--from", str(each.absolute()))]
        language = ["--language", self.language] if self.language else []
        return [name, *recorded, *(["--yes"] if self.is_agreed else []), *language]


def check_options(encoder: str | None, state_dir: Path | None) -> None:
    """What the system's service can't be told here.

    Raises:
        UsageError: One of them is given.
    """
    if state_dir is not None:
        raise UsageError(
            "the system's service keeps its state in /var/lib/voiceguard",
            hint="leave --state-dir out",
        )
    if encoder not in {None, "default"}:
        raise UsageError(
            "an encoder is chosen in the state of whoever uses it",
            hint="leave --encoder out; afterwards, as root: voiceguard models pull NAME "
            "--state-dir /var/lib/voiceguard, and models use",
        )


def set_up_system(
    service: Service,
    answers: Answers,
    *,
    source: str | None,
    broker: str | None,
    login: Login,
    person: Person,
    config: Path | None,
) -> int:
    """Asks, writes its configuration, has it enroll whom they name, and starts it.

    Args:
        service: The system's.
        answers: Nothing yet.
        source: The microphone that was named.
        broker: Likewise.
        login: Of options.
        person: Of options.
        config: Another file than /etc/voiceguard/voiceguard.toml.

    Returns:
        The exit code: the enrollment's, where that failed. The service runs all the same.
    """
    service.check()
    path = config or service.config
    check_writable(path)
    settings = load_settings(path if path.exists() else None)
    login = Login(
        username=login.username or settings.mqtt.login,
        password_file=login.password_file or readable(service.root, settings.mqtt.password_file),
    )
    settle_microphone(answers, settings, source)
    settle_broker(answers, settings, broker, login, is_new=not path.exists())
    if person.name is None and answers.is_asking:
        heading("Who speaks here?")
        typed = typer.prompt("A name, or Enter for nobody now", "", show_default=False, err=True)
        person = replace(person, name=typed.strip() or None)
    changes = answers.changes()
    changes["mqtt"] = with_credential(service.root, answers.mqtt, answers.password)
    write_config(path, changes)
    stdout.print(f"\n[bold green]Set up[/]: {escape(str(path))}", soft_wrap=True)
    code = _enrolled(service, person)
    unit = service.install(config)
    stdout.print(f"It runs: {escape(str(unit))}. `{service.log_command}` shows what it hears.")
    stdout.print("Another person: `sudo voiceguard service enroll NAME`.")
    return code


def _enrolled(service: Service, person: Person) -> int:
    """Enrolls for the service, before that holds the microphone."""
    if person.name is None:
        return int(ExitCode.OK)
    name = name_for(person.name)
    if name in enrolled_in(service.state_dir):
        stderr.print(f"{name} is enrolled already.")
        return int(ExitCode.OK)
    if service.state()["active"] == "active":
        service.stop()
    done = subprocess.run(  # noqa: S603 - voiceguard itself
        service.enrolling(person.arguments(person.name)), check=False
    )
    return done.returncode
