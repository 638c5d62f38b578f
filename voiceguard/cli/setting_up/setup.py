"""``voiceguard setup``: from nothing to a daemon that knows somebody, in one conversation."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from voiceguard.cli.credentials import without_credentials
from voiceguard.cli.models.bring import pull_model
from voiceguard.cli.options import (
    ConfigOption,
    PasswordFileOption,
    StateDirOption,
    UsernameOption,
    broker_option,
    overrides,
    source_option,
)
from voiceguard.cli.output import explain, stderr, stdout
from voiceguard.cli.people.enroll import Wish, take_in
from voiceguard.cli.people.sentences import SENTENCES, sentences
from voiceguard.cli.setting_up.questions import (
    Answers,
    Login,
    heading,
    settings_of,
    settle_broker,
    settle_encoder,
    settle_microphone,
)
from voiceguard.cli.setting_up.system_setup import Person, check_options, set_up_system
from voiceguard.cli.shell.values import encoders, languages
from voiceguard.encoder.foreign.catalogue import find_known
from voiceguard.encoder.installed import installed_models
from voiceguard.encoder.library import shipped_models
from voiceguard.errors import ExitCode, UsageError, VoiceguardError
from voiceguard.logs import LogConfig, configure_logging
from voiceguard.service.encoders import choose
from voiceguard.service.kit import installed_in, open_store
from voiceguard.service.setup.configuration import check_writable, config_to_write, write_config
from voiceguard.service.setup.units import Service
from voiceguard.settings import Settings, load_settings
from voiceguard.voiceprints.names import name_for


class ServiceKind(StrEnum):
    """What may start it from now on."""

    USER = "user"
    SYSTEM = "system"
    NONE = "none"


def setup(
    source: Annotated[
        str | None,
        source_option("The microphone: device[:NAME or number]."),
    ] = None,
    broker: Annotated[
        str | None,
        broker_option("mqtt://host[:port], mqtts://..., embedded, or none; without: looked for."),
    ] = None,
    username: UsernameOption = None,
    password_file: PasswordFileOption = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=encoders,
            help="From now on: default, campplus or another of `voiceguard models list`.",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whom to enroll: Anna.", show_default=False),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE", help="A recording of them; several: given again."),
    ] = None,
    agreed: Annotated[
        bool, typer.Option("--yes", "-y", help="The person agrees to be enrolled; don't ask.")
    ] = False,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SENTENCES),
            autocompletion=languages,
            help="Of the sentences to read; without: as LANG says.",
            show_default=False,
        ),
    ] = None,
    service: Annotated[
        ServiceKind | None,
        typer.Option(
            help="Start it now and with the session (user) or the machine (system, as root).",
            show_default=False,
        ),
    ] = None,
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Ask nothing: take what is not given as it is.")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> int:
    """Set everything up: microphone, broker, encoder, the first person, a service.

    Asks step by step and proposes an answer that Enter takes; an option answers its step. Nothing
    is written before the last answer, so Ctrl-C leaves what was. Run it again to change
    something: comments and settings of your own stay.
    """
    configure_logging(LogConfig(level="error"))
    answers = Answers(is_asking=sys.stdin.isatty() and not unattended)
    if files and person is None:
        raise UsageError("--from needs --person", hint="whose voice is it?")
    if service is ServiceKind.SYSTEM:
        check_options(encoder, state_dir)
        return set_up_system(
            Service(of_user=False),
            answers,
            source=source,
            broker=broker,
            login=Login(username=username, password_file=password_file),
            person=Person(name=person, files=files or [], is_agreed=agreed, language=language),
            config=config,
        )
    path = config_to_write(config)
    check_writable(path)
    settings = load_settings(path if path.exists() else None, **overrides(state_dir=state_dir))
    login = Login(
        username=username or settings.mqtt.login,
        password_file=password_file or settings.mqtt.password_file,
    )
    settle_microphone(answers, settings, source)
    settle_broker(answers, settings, broker, login, is_new=not path.exists())
    chosen = _fetched(settle_encoder(answers, settings, encoder), settings)
    kind = _settle_service(answers, service)
    if kind is ServiceKind.USER:
        Service(of_user=True).check()
    planned = settings_of(path, answers, chosen, **_plain(state_dir))
    heard = _enroll(answers, planned, person, files or [], language, agreed=agreed)
    changes = {"": _plain(state_dir), **answers.changes()}
    written = write_config(path, changes, password=answers.password)
    if chosen is not None:
        choose(written, chosen)
    _finish(path, kind, heard, None if config is None else path)
    return ExitCode.OK


def _plain(state_dir: Path | None) -> dict[str, str]:
    return {} if state_dir is None else {"state_dir": str(state_dir.absolute())}


def _fetched(name: str | None, settings: Settings) -> str | None:
    """Fetches an encoder that is not here; where that fails somebody goes on with the old one.

    Raises:
        UsageError: There is none of that name.
    """
    directory = installed_in(settings)
    if name in {None, "default", *shipped_models(), *installed_models(directory)}:
        return name
    assert name is not None
    if find_known(name) is None:
        raise UsageError(
            f"there is no encoder {name!r}", hint="`voiceguard models list` shows what there is"
        )
    try:
        pull_model(
            name, accept_licence=True, state_dir=Path(settings.state_dir or directory.parent)
        )
    except VoiceguardError as error:
        explain(str(error), error.hint)
        stderr.print("Going on with the shipped encoder.")
        return None
    return name


def _settle_service(answers: Answers, service: ServiceKind | None) -> ServiceKind:
    if service is not None:
        return service
    if not answers.is_asking:
        return ServiceKind.NONE
    heading("Service")
    try:
        Service(of_user=True).check()
    except VoiceguardError as error:
        stderr.print(f"[dim]{escape(str(error))}; `voiceguard run` starts it.[/]")
        return ServiceKind.NONE
    wants = typer.confirm("Start it now, and whenever you log in?", default=True, err=True)
    return ServiceKind.USER if wants else ServiceKind.NONE


def _enroll(
    answers: Answers,
    settings: Settings,
    person: str | None,
    files: list[Path],
    language: str | None,
    *,
    agreed: bool,
) -> list[str]:
    """Enrolls whom they name; who is known in the end, as people read it."""
    store = open_store(settings)
    known = list(store.names())
    if person is None and answers.is_asking:
        heading("Who speaks here?")
        if known:
            stderr.print(f"Enrolled: {', '.join(known)}.")
        typed = typer.prompt("A name, or Enter for nobody now", "", show_default=False, err=True)
        person = typed.strip() or None
    if person is None:
        return known
    name = name_for(person)
    if name in known:
        stderr.print(f"{name} is enrolled already; `voiceguard enroll {name} --add` adds a room.")
        return known
    wish = Wish(
        name=name,
        paths=files,
        source=answers.microphone,
        display_name=person if person != name else "",
        is_agreed=agreed,
        sentences=sentences(language),
    )
    take_in(settings, wish).show()
    return [*known, name]


def _finish(path: Path, kind: ServiceKind, heard: list[str], config: Path | None) -> None:
    shown = escape(without_credentials(str(path)))
    stdout.print(f"\n[bold green]Set up[/]: {shown}", soft_wrap=True)
    if kind is not ServiceKind.NONE:
        service = Service(of_user=True)
        unit = service.install(config)
        stdout.print(f"It runs: {escape(str(unit))}. `{service.log_command}` shows what it hears.")
        return
    if not heard:
        stdout.print("Nobody is enrolled yet: `voiceguard enroll NAME`.")
    stdout.print("Now: [bold]voiceguard run[/]")
