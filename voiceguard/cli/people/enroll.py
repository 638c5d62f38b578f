"""``voiceguard enroll``: a person's voice becomes a voiceprint."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

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
from voiceguard.decisions.wire import iso_utc, rounded
from voiceguard.errors import UsageError, VoiceprintError, install_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voiceguard.enrollment import Enrollment, TakeReport
    from voiceguard.protocols import VoiceActivityDetector
    from voiceguard.service.kit import Kit
    from voiceguard.settings import Settings
    from voiceguard.types import Voiceprint


def enroll(
    name: Annotated[str, typer.Argument(help="1 to 32 of a-z, 0-9, _ and -.")],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="More files, after --from.")
    ] = None,
    first_files: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE...", help="Recordings instead of a microphone."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", "-s", help="device[:NAME or number].", show_default=False),
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
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Enroll a speaker: read three to five sentences, or give recordings with --from.

    Nothing is stored before the end: Ctrl-C leaves everything as it was. Audio is kept
    only where the person agrees to that as well.
    """
    from voiceguard.cli.people.prediction import prediction_plain, show_prediction
    from voiceguard.enrollment import latest_takes
    from voiceguard.logs import configure_logging
    from voiceguard.service.kit import open_store
    from voiceguard.settings import load_settings
    from voiceguard.voiceprints import audio_to_keep, check_speaker_name

    check_speaker_name(name)
    paths = _paths(first_files, files, source=source, add=add, force=force)
    settings = load_settings(config, **overrides(state_dir=state_dir, model=model, device=device))
    # between prompts and meter only what is wrong has a place
    level = "warning" if settings.log.level == "info" else settings.log.level
    configure_logging(replace(settings.log, level=level))
    store = open_store(settings)
    if add:
        store.load(name)  # there must be one to add to, before anybody starts reading
    elif name in store.names() and not force:
        raise VoiceprintError(
            f"{name!r} is already enrolled",
            hint="--add takes another room or microphone in, --force starts anew",
        )
    consent_at = None if add else ask_consent(name, store.directory, agreed=consent)
    kept_at = ask_to_keep_audio(name, wanted=keep_audio, agreed=consent)
    kept_earlier = store.load_audio(store.load(name)) if add and kept_at else None
    store.prepare()

    def check(encoder_id: str) -> None:
        """Before anybody starts reading: what will be added to must be of this encoder."""
        if add:
            store.load(name, encoder_id=encoder_id)

    if paths:
        kit, enrollment = _enroll_files(paths, settings, label, check)
    else:
        kit, enrollment = _enroll_takes(settings, source, label, check)

    now = datetime.now(UTC)
    if consent_at is None:
        voiceprint = enrollment.added_to(store.load(name), now=now)
    else:
        voiceprint = enrollment.voiceprint(
            name, display_name=display_name, consent_at=consent_at, now=now
        )
    audio = None
    if kept_at is not None:
        audio = audio_to_keep(voiceprint, enrollment.usable_audio, kept_at, kept_earlier)
    store.save(voiceprint, overwrite=add or force, audio=audio)
    foretold = kit.foretell(voiceprint, num_voiceprints=len(store.names()))
    if json_lines:
        kept_s = None if audio is None else rounded(audio.seconds, 2)
        payload = _payload(voiceprint, enrollment.reports, paths)
        plain = prediction_plain(foretold, settings.policy)
        print_json({**payload, "audio_kept_s": kept_s, "prediction": plain})
    else:
        _congratulate(voiceprint, enrollment)
        show_prediction(
            foretold,
            voiceprint.display_name,
            settings.policy,
            num_takes=len(latest_takes(voiceprint)),
            is_calibrated=kit.calibration is not None,
        )
        _tell_next(voiceprint, source)
        if audio is not None:
            stdout.print(f"[dim]{audio.seconds:.1f} s of audio are kept beside it, encrypted[/]")


# --- before anything is recorded ------------------------------------------------------------


def _paths(
    first: list[Path] | None, more: list[Path] | None, *, source: str | None, add: bool, force: bool
) -> list[Path]:
    if more and not first:
        raise UsageError(
            f"unexpected argument {str(more[0])!r}", hint="recordings follow --from: --from a.wav"
        )
    if first and source:
        raise UsageError("--from and --source exclude each other", hint="leave one of them out")
    if add and force:
        raise UsageError(
            "--add and --force exclude each other",
            hint="--add keeps the voiceprint and adds to it, --force starts anew",
        )
    return [*(first or ()), *(more or ())]


def _make_vad(settings: Settings) -> Callable[[], VoiceActivityDetector]:
    from voiceguard.speech.vad import make_vad

    return lambda: make_vad(settings.vad)


def _new_enrollment(settings: Settings, check: Callable[[str], None]) -> tuple[Kit, Enrollment]:
    from voiceguard.service.kit import assemble
    from voiceguard.speech.vad import is_music_heard_as_speech

    with stderr.status("loading the encoder"):
        kit = assemble(settings)
    check(kit.encoder.info.encoder_id)
    if is_music_heard_as_speech(settings.vad):
        stderr.print(
            "music is not recognised: keep it off, or run: "
            + install_command("silero-vad", "onnxruntime"),
            style="dim",
            markup=False,
            soft_wrap=True,  # to be copied in one piece
        )
    return kit, kit.new_enrollment()


# --- takes ----------------------------------------------------------------------------------


def _enroll_files(
    paths: Sequence[Path], settings: Settings, label: str, check: Callable[[str], None]
) -> tuple[Kit, Enrollment]:
    from rich.progress import track

    from voiceguard.audio.files import load_audio

    recordings = [load_audio(path, settings.audio.channel) for path in paths]
    kit, enrollment = _new_enrollment(settings, check)
    shown = track(recordings, "embedding", console=stderr, transient=True)
    for samples in shown if stderr.is_terminal else recordings:
        enrollment.add(samples, recorded_at=datetime.now(UTC), label=label)
    for path, report in zip(paths, enrollment.reports, strict=True):
        _tell(str(path), report)
    return kit, enrollment


def _enroll_takes(
    settings: Settings, source: str | None, label: str, check: Callable[[str], None]
) -> tuple[Kit, Enrollment]:
    from concurrent.futures import ThreadPoolExecutor

    from voiceguard.cli.people.microphone import Studio, choose_microphone

    executor = ThreadPoolExecutor(2, thread_name_prefix="io")
    try:
        studio = Studio(
            open_source=choose_microphone(settings, source, executor),
            make_vad=_make_vad(settings),
            settings=settings,
        )
        kit, enrollment = _new_enrollment(settings, check)
        studio.fill(enrollment, label, tell=_tell)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)  # a hung audio server holds its thread
    return kit, enrollment


# --- what is said about it ------------------------------------------------------------------


def _tell(what: str, report: TakeReport) -> None:
    from voiceguard.enrollment import describe

    mark = "[bold green]ok[/]" if report.is_usable else "[bold red]no[/]"
    stderr.print(f"{mark} {escape(what)}: {escape(describe(report))}", soft_wrap=True)


def _payload(
    voiceprint: Voiceprint, reports: Sequence[TakeReport], paths: Sequence[Path]
) -> dict[str, Any]:
    names: list[str | None] = [str(path) for path in paths]
    names = names or [None] * len(reports)
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
            for name, report in zip(names, reports, strict=True)
        ],
    }


def _congratulate(voiceprint: Voiceprint, enrollment: Enrollment) -> None:
    from voiceguard.enrollment import ENOUGH_SPEECH_S

    usable = [report for report in enrollment.reports if report.is_usable]
    agreements = [report.agreement for report in usable if report.agreement is not None]
    alike = f", alike by {min(agreements):.2f} (cosine)" if agreements else ""
    stdout.print(
        f"[bold green]enrolled[/] {voiceprint.speaker}: {len(usable)} take(s), "
        f"{enrollment.usable_speech_s:.1f} s of speech{alike}; "
        f"{len(voiceprint.templates)} in the voiceprint",
        soft_wrap=True,
    )
    if enrollment.usable_speech_s < ENOUGH_SPEECH_S and len(usable) == len(voiceprint.templates):
        stdout.print(
            f"[yellow]that is little:[/] with {ENOUGH_SPEECH_S:g} s or more fewer of "
            f"{voiceprint.speaker}'s words will be inconclusive; `voiceguard enroll "
            f"{voiceprint.speaker} --add` takes more in",
            soft_wrap=True,
        )


def _tell_next(voiceprint: Voiceprint, source: str | None) -> None:
    stdout.print(
        f"[dim]next: `voiceguard verify {voiceprint.speaker} FILE`, or "
        f"`voiceguard run --source {source or 'device'}` (one that runs already has noticed)[/]",
        soft_wrap=True,
    )
