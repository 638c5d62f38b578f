"""``voiceguard enroll``: a person's voice becomes a voiceprint."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import track

from voiceguard.audio.files import SoundFile
from voiceguard.cli.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    StateDirOption,
    overrides,
)
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.cli.people.consent import ask_consent, ask_to_keep_audio
from voiceguard.cli.people.microphone import FURTHER_S, Studio, choose_microphone
from voiceguard.cli.people.prediction import prediction_plain, show_prediction
from voiceguard.cli.shell.values import microphones, people
from voiceguard.decisions.wire import iso_utc, rounded
from voiceguard.enrollment import (
    EnrollmentSession,
    Mode,
    Quality,
    advise,
    describe,
    latest_takes,
)
from voiceguard.errors import ExitCode, KnownVoiceError, UsageError, install_command
from voiceguard.logs import configure_logging
from voiceguard.service.kit import assemble, open_store
from voiceguard.settings import load_settings
from voiceguard.speech.vad import is_music_heard_as_speech, make_vad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.enrollment import Enrolled, TakeReport, Takes
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.service.kit import Kit
    from voiceguard.settings import Settings


def enroll(
    name: Annotated[
        str,
        typer.Argument(help="1 to 32 of a-z, 0-9, _ and -, the first no -.", autocompletion=people),
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
        typer.Option(
            "--source",
            "-s",
            metavar="SOURCE",
            autocompletion=microphones,
            help="device[:NAME or number].",
            show_default=False,
        ),
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Add another room, microphone or voice condition.")
    ] = False,
    label: Annotated[
        str, typer.Option(help='Where and with what: "kitchen", "a cold".', show_default=False)
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing voiceprint.")] = False,
    display_name: Annotated[
        str, typer.Option(help="The name for people to read; any text.", show_default=False)
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
    mode = _mode(add=add, force=force)
    paths = _paths(first_files, files, source=source)
    settings = _settings(config, **overrides(state_dir=state_dir, model=model, device=device))
    session = EnrollmentSession(open_store(settings), name, mode)
    directory = session.store.directory
    session.consent(
        None if session.has_consent else ask_consent(name, directory, agreed=consent),
        audio_at=ask_to_keep_audio(name, wanted=keep_audio, agreed=consent),
    )
    if paths:
        kit, takes = _read_files(session, settings, paths, label)
    else:
        kit, takes = _record_takes(session, settings, source, label)
    enrolled = _finished(session, takes, display_name, another_person=another_person)
    policy = settings.policy.per_decision(len(session.store.names()), kit.calibration)
    if json_lines:
        print_json(_payload(enrolled, paths, policy))
    else:
        _appraise(enrolled)
        _congratulate(enrolled, takes.usable_speech_s)
        show_prediction(
            enrolled.prediction,
            enrolled.voiceprint.display_name,
            policy,
            num_takes=len(latest_takes(enrolled.voiceprint)),
            is_calibrated=kit.calibration is not None,
        )
        _tell_next(enrolled, source)
    is_weak = enrolled.appraisal.quality is Quality.WEAK
    return int(ExitCode.WEAK if strict and is_weak else ExitCode.OK)


def _finished(
    session: EnrollmentSession, takes: Takes, display_name: str, *, another_person: bool
) -> Enrolled:
    """Asks, where somebody is there, whether a known voice is another person's."""
    now = datetime.now(UTC)
    try:
        return session.finish(
            takes, now=now, display_name=display_name, another_person=another_person
        )
    except KnownVoiceError as error:
        if not sys.stdin.isatty():
            raise
        stderr.print(f"This sounds like [bold]{error.known}[/], who is enrolled.")
        if not typer.confirm(f"Is {session.speaker} another person?", default=False, err=True):
            raise
    return session.finish(takes, now=now, display_name=display_name, another_person=True)


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
    if is_music_heard_as_speech(settings.vad):
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
        _tell(str(path), report)
    return kit, takes


def _record_takes(
    session: EnrollmentSession, settings: Settings, source: str | None, label: str
) -> tuple[Kit, Takes]:

    executor = ThreadPoolExecutor(2, thread_name_prefix="io")
    try:
        studio = Studio(
            open_source=choose_microphone(settings, source, executor),
            make_vad=lambda: make_vad(settings.vad),
            settings=settings,
        )
        kit, takes = _begin(session, settings)
        studio.fill(takes, label, tell=_tell)
        while _wants_more(session, takes):
            studio.fill(takes, label, tell=_tell, further_s=FURTHER_S)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)  # a hung audio server holds its thread
    return kit, takes


def _wants_more(session: EnrollmentSession, takes: Takes) -> bool:
    """Whether a voiceprint would be weak, and somebody is there and reads on."""
    if not sys.stdin.isatty():
        return False
    if session.appraise(takes, now=datetime.now(UTC)).quality is not Quality.WEAK:
        return False
    stderr.print("[yellow]weak:[/] fewer than half of what is said will be accepted.")
    return typer.confirm("Read a few more sentences?", default=True, err=True)


# --- what is said about it ------------------------------------------------------------------


def _tell(what: str, report: TakeReport) -> None:
    mark = "[bold green]ok[/]" if report.is_usable else "[bold red]no[/]"
    stderr.print(f"{mark} {escape(what)}: {escape(describe(report))}", soft_wrap=True)


def _payload(enrolled: Enrolled, paths: Sequence[Path], policy: PolicyConfig) -> dict[str, Any]:
    voiceprint = enrolled.voiceprint
    names: list[str | None] = [str(path) for path in paths]
    names = names or [None] * len(enrolled.reports)
    return {
        "speaker": voiceprint.speaker,
        "display_name": voiceprint.display_name,
        "encoder_id": voiceprint.encoder_id,
        "consent_at": iso_utc(voiceprint.consent_at),
        "num_templates": len(voiceprint.templates),
        "takes": [
            {
                "file": name,
                "usable": report.is_usable,
                "problems": list(report.problems),
                "net_speech_s": rounded(report.net_speech_s, 2),
                "snr_db": rounded(report.snr_db, 1),
                "clipped_fraction": rounded(report.clipped_fraction, 5),
                "left_out_s": rounded(report.left_out_s, 2),
                "agreement": rounded(report.agreement, 3),
            }
            for name, report in zip(names, enrolled.reports, strict=True)
        ],
        "quality": str(enrolled.appraisal.quality),
        "advice": enrolled.appraisal.advice and str(enrolled.appraisal.advice),
        "audio_kept_s": None if enrolled.audio is None else rounded(enrolled.audio.seconds, 2),
        "prediction": prediction_plain(enrolled.prediction, policy),
    }


def _congratulate(enrolled: Enrolled, usable_s: float) -> None:
    speaker, templates = enrolled.voiceprint.speaker, enrolled.voiceprint.templates
    usable = [report for report in enrolled.reports if report.is_usable]
    agreements = [report.agreement for report in usable if report.agreement is not None]
    alike = f", alike by {min(agreements):.2f} (cosine)" if agreements else ""
    stdout.print(
        f"[bold green]enrolled[/] {speaker}: {len(usable)} take(s), {usable_s:.1f} s of "
        f"speech{alike}; {len(templates)} in the voiceprint",
        soft_wrap=True,
    )


_STYLES = {Quality.GOOD: "bold green", Quality.FAIR: "bold yellow", Quality.WEAK: "bold red"}


def _appraise(enrolled: Enrolled) -> None:
    quality = enrolled.appraisal.quality
    advice = advise(enrolled.appraisal, enrolled.voiceprint.speaker)
    said = f": {advice}" if advice else ""
    stdout.print(f"[{_STYLES[quality]}]{quality}[/]{said}", soft_wrap=True)


def _tell_next(enrolled: Enrolled, source: str | None) -> None:
    stdout.print(
        f"[dim]next: `voiceguard verify {enrolled.voiceprint.speaker} FILE`, or "
        f"`voiceguard run --source {source or 'device'}` (one that runs already has noticed)[/]",
        soft_wrap=True,
    )
    if enrolled.audio is not None:
        seconds = enrolled.audio.seconds
        stdout.print(f"[dim]{seconds:.1f} s of audio are kept beside it, encrypted[/]")
