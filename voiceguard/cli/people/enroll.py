"""``voiceguard enroll``: a person's voice becomes a voiceprint."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import track

from voiceguard.audio.files import SoundFile
from voiceguard.cli.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    StateDirOption,
    overrides,
    source_option,
)
from voiceguard.cli.output import print_json, stderr
from voiceguard.cli.people.better_encoder import offer_better_encoder
from voiceguard.cli.people.consent import ask_consent, ask_to_keep_audio, confirmed
from voiceguard.cli.people.enrolled import Outcome, tell_take
from voiceguard.cli.people.microphone import FURTHER_S, Studio, choose_microphone
from voiceguard.cli.people.sentences import SENTENCES, sentences
from voiceguard.cli.people.through_proxy import PREFIX, ProxyStudio
from voiceguard.cli.shell.values import languages, people
from voiceguard.enrollment import (
    EnrollmentSession,
    Mode,
    Quality,
)
from voiceguard.errors import ExitCode, KnownVoiceError, UsageError, install_command
from voiceguard.logs import configure_logging
from voiceguard.paths import state_dir
from voiceguard.service.kit import assemble, open_store
from voiceguard.settings import load_settings
from voiceguard.speech.vad import make_vad, why_no_judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.enrollment import Enrolled, Takes
    from voiceguard.service.kit import Kit
    from voiceguard.settings import Settings


def enroll(
    name: Annotated[
        str,
        typer.Argument(
            help='As people write it: Anna, Zoë, "Max Mustermann".', autocompletion=people
        ),
    ],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="More files, after --from.")
    ] = None,
    first_files: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE...", help="Recordings instead of a microphone."),
    ] = None,
    source: Annotated[
        str | None,
        source_option("device[:NAME or number], or proxy:NAME for turns with an assistant."),
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Add another room, microphone or voice condition.")
    ] = False,
    label: Annotated[
        str, typer.Option(help='Where and with what: "kitchen", "a cold".', show_default=False)
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing voiceprint.")] = False,
    display_name: Annotated[
        str, typer.Option(help="Another name for people to read; any text.", show_default=False)
    ] = "",
    consent: Annotated[
        bool, typer.Option("--yes", "-y", help="The person agrees; don't ask.")
    ] = False,
    keep_audio: Annotated[
        bool | None,
        typer.Option(
            "--keep-audio/--no-keep-audio",
            help="The person agrees that the takes' audio is kept too, encrypted: a later encoder "
            "then needs no new recordings.",
            show_default=False,
        ),
    ] = None,
    another_person: Annotated[
        bool,
        typer.Option(
            "--another-person", help="Enroll a voice that sounds like somebody who is enrolled."
        ),
    ] = False,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SENTENCES),
            help="Of the sentences to read; without: as LANG says, English where there are none.",
            autocompletion=languages,
            show_default=False,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 7 where the voiceprint is weak.")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Enroll a speaker: read three to five sentences, or give recordings with --from.

    Nothing is stored before the end: Ctrl-C leaves everything as it was. Audio is kept
    only where the person agrees to that as well. A voice that is enrolled under another name is
    refused unless you say that it is another person.
    """
    wish = Wish(
        name=name,
        paths=_paths(first_files, files, source=source),
        source=source,
        label=label,
        mode=_mode(add=add, force=force),
        display_name=display_name,
        is_agreed=consent,
        keep_audio=keep_audio,
        another_person=another_person,
        sentences=sentences(language),
    )
    settings = _settings(config, **overrides(state_dir=state_dir, model=model, device=device))
    outcome = take_in(settings, wish)
    if json_lines:
        print_json(outcome.payload(wish.paths))
    else:
        outcome.show()
        outcome.tell_next(source)
    is_weak = outcome.enrolled.appraisal.quality is Quality.WEAK
    return int(ExitCode.WEAK if strict and is_weak else ExitCode.OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who is to be enrolled, and from what."""

    name: str
    paths: list[Path] = field(default_factory=list)
    """Recordings; none: from a microphone."""
    source: str | None = None
    """The microphone; None: the configured one, or one that is chosen now."""
    label: str = ""
    mode: Mode = Mode.NEW
    display_name: str = ""
    is_agreed: bool = False
    """The person agrees to a voiceprint; nobody is asked."""
    keep_audio: bool | None = None
    another_person: bool = False
    sentences: tuple[str, ...] = SENTENCES["en"]


def take_in(settings: Settings, wish: Wish) -> Outcome:
    """Asks for consent, hears takes and stores the voiceprint; before the end, nothing is stored.

    Raises:
        VoiceguardError: It can't be done; says why.
        typer.Abort: The person doesn't agree.
    """
    session = EnrollmentSession(
        open_store(settings), wish.name, wish.mode, display_name=wish.display_name
    )
    directory = session.store.directory
    session.consent(
        None
        if session.has_consent
        else ask_consent(session.display_name, directory, agreed=wish.is_agreed),
        audio_at=ask_to_keep_audio(session.speaker, wanted=wish.keep_audio, agreed=wish.is_agreed),
    )
    if wish.paths:
        kit, takes = _read_files(session, settings, wish.paths, wish.label)
    else:
        kit, takes = _record_takes(session, settings, wish)
    enrolled = _finished(session, takes, another_person=wish.another_person)
    return Outcome(
        enrolled=enrolled,
        usable_speech_s=takes.usable_speech_s,
        policy=settings.policy.per_decision(len(session.store.names()), kit.calibration),
        is_calibrated=kit.calibration is not None,
    )


def _finished(session: EnrollmentSession, takes: Takes, *, another_person: bool) -> Enrolled:
    """Asks, where somebody is there, whether a known voice is another person's."""
    now = datetime.now(UTC)
    try:
        return session.finish(takes, now=now, another_person=another_person)
    except KnownVoiceError as error:
        if not sys.stdin.isatty():
            raise
        stderr.print(f"This sounds like [bold]{error.known}[/], who is enrolled.")
        if not confirmed(f"Is {session.display_name} another person?"):
            raise
    return session.finish(takes, now=now, another_person=True)


# --- before anything is recorded ------------------------------------------------------------


def _mode(*, add: bool, force: bool) -> Mode:
    if add and force:
        raise UsageError(
            "--add and --force exclude each other",
            hint="--add keeps the voiceprint and adds to it, --force starts anew",
        )
    if add:
        return Mode.ADD
    return Mode.REPLACE if force else Mode.NEW


def _paths(first: list[Path] | None, more: list[Path] | None, *, source: str | None) -> list[Path]:
    if more and not first:
        raise UsageError(
            f"unexpected argument {str(more[0])!r}", hint="recordings follow --from: --from a.wav"
        )
    if first and source:
        raise UsageError("--from and --source exclude each other", hint="leave one of them out")
    return [*(first or ()), *(more or ())]


def _settings(config: Path | None, **given: Any) -> Settings:  # noqa: ANN401
    settings = load_settings(config, **given)
    # between prompts and meter only what is wrong has a place
    level = "warning" if settings.log.level == "info" else settings.log.level
    configure_logging(replace(settings.log, level=level))
    return settings


# --- takes ----------------------------------------------------------------------------------


def _begin(session: EnrollmentSession, settings: Settings) -> tuple[Kit, Takes]:
    with stderr.status("loading the encoder"):
        kit = assemble(settings)
    takes = session.begin(kit)
    if not session.store.names():  # whoever is enrolled would have to be enrolled again
        offer_better_encoder(kit)
    if why_no_judge() is not None:
        stderr.print(
            "music is not recognised: keep it off, or run: "
            + install_command("silero-vad", "onnxruntime"),
            style="dim",
            markup=False,
            soft_wrap=True,  # to be copied in one piece
        )
    return kit, takes


def _read_files(
    session: EnrollmentSession, settings: Settings, paths: Sequence[Path], label: str
) -> tuple[Kit, Takes]:
    recordings = [SoundFile(path, settings.audio.channel) for path in paths]
    for recording in recordings:  # a wrong one is named before anybody waits for the encoder
        recording.check()
    kit, takes = _begin(session, settings)
    shown = track(recordings, "embedding", console=stderr, transient=True)
    for recording in shown if stderr.is_terminal else recordings:
        takes.add(recording, recorded_at=datetime.now(UTC), label=label)
    for path, report in zip(paths, takes.reports, strict=True):
        tell_take(str(path), report)
    return kit, takes


def _record_takes(session: EnrollmentSession, settings: Settings, wish: Wish) -> tuple[Kit, Takes]:
    if wish.source is not None and wish.source.startswith(PREFIX):
        return _take_turns(session, settings, wish)
    executor = ThreadPoolExecutor(2, thread_name_prefix="io")
    try:
        studio = Studio(
            open_source=choose_microphone(settings, wish.source, executor),
            make_vad=lambda: make_vad(settings.vad),
            settings=settings,
            sentences=wish.sentences,
        )
        kit, takes = _begin(session, settings)
        studio.fill(takes, wish.label, tell=tell_take)
        while _wants_more(session, takes):
            studio.fill(takes, wish.label, tell=tell_take, further_s=FURTHER_S)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)  # a hung audio server holds its thread
    return kit, takes


def _take_turns(session: EnrollmentSession, settings: Settings, wish: Wish) -> tuple[Kit, Takes]:
    assert wish.source is not None
    studio = ProxyStudio(wish.source, state_dir(settings.state_dir), wish.sentences)
    try:
        kit, takes = _begin(session, settings)
        studio.fill(takes, wish.label, tell=tell_take)
        while _wants_more(session, takes):
            studio.fill(takes, wish.label, tell=tell_take, further_s=FURTHER_S)
    finally:
        studio.close()
    return kit, takes


def _wants_more(session: EnrollmentSession, takes: Takes) -> bool:
    """Whether a voiceprint would be weak, and somebody is there and reads on."""
    if not sys.stdin.isatty():
        return False
    if session.appraise(takes, now=datetime.now(UTC)).quality is not Quality.WEAK:
        return False
    stderr.print("[yellow]weak:[/] fewer than half of what is said will be accepted.")
    return typer.confirm("Read a few more sentences?", default=True, err=True)
