"""The questions of ``voiceguard setup``; where nobody is asked, the likeliest answer is taken."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from voiceguard.audio.portaudio import list_devices
from voiceguard.audio.sources import open_source, parse_source
from voiceguard.cli.output import stderr
from voiceguard.cli.people.recording import Meter, watch_level
from voiceguard.clock import SystemClock
from voiceguard.errors import (
    BrokerError,
    ConfigError,
    DeviceError,
    VoiceguardError,
    install_command,
)
from voiceguard.mqtt import embedded
from voiceguard.mqtt.trial import try_broker
from voiceguard.paths import enrolled_in
from voiceguard.service.kit import installed_in
from voiceguard.service.setup.brokers import as_url, can_browse, likely_brokers, wants_login
from voiceguard.service.setup.encoder_choice import COST, STRONG, this_machine
from voiceguard.settings import load_settings
from voiceguard.speech.gate import SpeechGate
from voiceguard.speech.vad import make_vad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.audio.devices import DeviceDescription
    from voiceguard.service.setup.encoder_choice import Machine
    from voiceguard.settings import Settings


@dataclass(kw_only=True)
class Answers:
    """What is known so far; nothing of it is stored before all is."""

    is_asking: bool
    """Whether somebody is there."""
    sources: list[str] | None = None
    microphone: str | None = None
    """The one to enroll with, by its own name though it be the default one; None: not chosen."""
    mqtt: dict[str, Any] = field(default_factory=dict)
    password: str | None = None

    def changes(self) -> dict[str, dict[str, Any]]:
        """As the configuration has them."""
        audio = {} if self.sources is None else {"audio": {"sources": self.sources}}
        return {**audio, **({"mqtt": self.mqtt} if self.mqtt else {})}


def heading(text: str) -> None:
    """What the next question is about."""
    stderr.print(f"\n[bold]{text}[/]")


# --- the microphone -------------------------------------------------------------------------


def settle_microphone(answers: Answers, settings: Settings, source: str | None) -> None:
    """The one that was named, or is chosen, with a meter to see that it hears.

    Raises:
        ConfigError: What was named is no source.
    """
    heading("Microphone")
    if source is not None:
        parse_source(source)
        answers.sources = [source]
        answers.microphone = source if parse_source(source).kind == "device" else None
        stderr.print(f"{escape(source)}, as you say")
        return
    try:
        found = list_devices()
    except DeviceError as error:
        stderr.print(f"[yellow]{error}[/]: {error.hint}. Going on without.")
        return
    if not found:
        stderr.print(
            "[yellow]None is here.[/] Going on without; the service takes the one that is plugged "
            "in later, and `enroll` takes recordings with --from."
        )
        return
    default = next((each for each in found if each.is_default), found[0])
    if not answers.is_asking:
        stderr.print(f"{escape(default.name)}, the default one")
        return
    while True:
        chosen = _chosen(found, default)
        answers.sources = ["device" if chosen.is_default else f"device:{chosen.name}"]
        answers.microphone = f"device:{chosen.index}"
        stderr.print("Say something: the bar follows you. [bold]Enter[/] when it does.")
        if _has_shown_level(answers.sources[0], settings):
            return


def _chosen(found: Sequence[DeviceDescription], default: DeviceDescription) -> DeviceDescription:
    for number, each in enumerate(found, start=1):
        mark = "[bold green]*[/]" if each is default else " "
        stderr.print(f" {mark} {number}  {escape(each.name)} [dim]{escape(each.host_api)}[/]")
    if len(found) == 1:
        return default
    wanted = found.index(default) + 1
    while True:
        number = int(typer.prompt("Which one", wanted, type=int, err=True))
        if 1 <= number <= len(found):
            return found[number - 1]
        stderr.print(f"there is no number {number}", style="red")


def _has_shown_level(source: str, settings: Settings) -> bool:
    """Shows a meter until Enter; False: the microphone can't be opened, and another is wanted."""
    executor = ThreadPoolExecutor(2, thread_name_prefix="io")
    audio = replace(settings.audio, wait_for_device=False)
    entered = threading.Event()
    try:
        opened = open_source(parse_source(source), audio, executor, clock=SystemClock())
        gate = SpeechGate(make_vad(settings.vad), settings.gate)
        threading.Thread(target=_wait_for_enter, args=(entered,), daemon=True).start()
        with Meter(stderr) as meter:
            asyncio.run(watch_level(opened, audio.channel, gate, meter.show, entered))
    except VoiceguardError as error:
        stderr.print(f"[red]{escape(str(error))}[/] {escape(error.hint)}")
        stderr.print("Press Enter, then choose another, or Ctrl-C.")
        entered.wait()
        return False
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
    return True


def _wait_for_enter(entered: threading.Event) -> None:
    sys.stdin.readline()
    entered.set()


# --- the broker -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """At the broker, from options or typed."""

    username: str | None = None
    password_file: Path | None = None
    password: str | None = field(default=None, repr=False)


def settle_broker(
    answers: Answers, settings: Settings, broker: str | None, login: Login, *, is_new: bool
) -> None:
    """Tried as the daemon will use it, in order, until one takes us; a person is asked.

    Args:
        answers: Get it.
        settings: As they are; what they say of TLS counts.
        broker: Named by option; None: it is looked for.
        login: Of options; the settings' where there is none.
        is_new: There is no configuration yet, so that its broker is nobody's choice.

    Raises:
        BrokerError: There is none, or it refuses, and nobody is there to ask.
    """
    heading("Broker")
    url = None if broker is None else as_url(broker)
    if url is None:
        url = _looked_for(answers, None if is_new else settings.mqtt.broker)
    while True:
        if url in {"none", "embedded"}:
            if url == "embedded" and not embedded.is_installed():
                raise BrokerError(
                    "a broker of its own needs amqtt, which is not installed",
                    hint=install_command("amqtt"),
                )
            answers.mqtt = {"broker": url}
            told = "none: decisions stay on this machine" if url == "none" else "one of its own"
            stderr.print(told)
            return
        try:
            detail = _tried(settings, url, login)
        except VoiceguardError as error:
            if not answers.is_asking:
                raise
            stderr.print(f"[yellow]{escape(str(error))}[/]")
            if wants_login(error):
                login = _asked_for_login(login)
                continue
            if error.hint:
                stderr.print(f"[dim]{escape(error.hint)}[/]")
            url = as_url(typer.prompt("Another address, or none", url, err=True))
            continue
        stderr.print(f"[green]works[/]: {escape(detail)}")
        answers.mqtt = {"broker": url, "username": login.username}
        if login.password_file is not None:
            answers.mqtt["password_file"] = str(login.password_file.absolute())
        answers.password = login.password
        return


def _looked_for(answers: Answers, configured: str | None) -> str:
    stderr.print("[dim]looking for one ...[/]")
    if configured in {"none", "embedded"}:
        configured = None
    found = next(likely_brokers(configured), None)
    if found is not None:
        stderr.print(f"{found.url}, {escape(found.where)}")
        if answers.is_asking:
            typed = typer.prompt("Enter takes it; or another address, or none", found.url, err=True)
            return as_url(typed)
        return found.url
    told = "none answers here or is announced on the network"
    if not can_browse():
        told = (
            "none answers here; the network is not asked, for want of a package: "
            + install_command("zeroconf")
        )
    if not answers.is_asking:
        raise BrokerError(f"no broker was found: {told}", hint="--broker mqtt://HOST, or none")
    stderr.print(f"[yellow]{escape(told)}[/]")
    typed = typer.prompt("Its address (homeassistant.local, say), or none", "none", err=True)
    return as_url(typed)


def _tried(settings: Settings, url: str, login: Login) -> str:
    """What the daemon does, with these words; the password never stays in a file of it."""
    with tempfile.TemporaryDirectory(prefix="voiceguard-") as folder:
        file = login.password_file
        if login.password is not None:
            file = Path(folder) / "password"
            file.touch(mode=0o600)
            file.write_text(login.password, "utf-8")
        try:
            mqtt = replace(settings.mqtt, broker=url, username=login.username, password_file=file)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        with stderr.status(f"trying {url}"):
            return asyncio.run(try_broker(mqtt))


def _asked_for_login(login: Login) -> Login:
    username = typer.prompt("User", login.username or "voiceguard", err=True)
    try:
        password = getpass("Password (not shown): ")
    except EOFError as error:
        raise typer.Abort from error
    return Login(username=username, password=password)


# --- the encoder ----------------------------------------------------------------------------


def settle_encoder(
    answers: Answers, settings: Settings, encoder: str | None, machine: Machine | None = None
) -> str | None:
    """The name of the encoder to use from now on; None: the one in use stays.

    Args:
        answers: Says whether anybody is asked.
        settings: As they are.
        encoder: Named by option.
        machine: What carries it; None: this one.
    """
    if encoder is not None:
        return encoder
    has_people = bool(enrolled_in(installed_in(settings).parent))
    is_default = settings.encoder.model == "default"
    if not answers.is_asking or has_people or not is_default:
        return None  # voiceprints are bound to the encoder that made them
    heading("Encoder")
    if not (machine or this_machine()).carries_strong:
        stderr.print("The shipped one, which suits a machine like this.")
        return None
    stderr.print(f"The shipped one is small and quick. {STRONG} is stronger: {COST}.")
    wants = typer.confirm(f"Take {STRONG}?", default=True, err=True)
    return STRONG if wants else None


def settings_of(path: Path, answers: Answers, encoder: str | None, **more: Any) -> Settings:  # noqa: ANN401
    """The settings as they will be, before anything is written."""
    chosen = {"encoder": {"model": encoder}} if encoder else {}
    mqtt = {key: value for key, value in answers.mqtt.items() if key != "password_file"}
    given = {**answers.changes(), **({"mqtt": mqtt} if mqtt else {})}
    return load_settings(path if path.exists() else None, **given, **chosen, **more)
