"""``voiceguard voiceprints export`` and ``import``: a voiceprint moves to another machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import people
from voiceguard.encoder.library import stated_encoder_id
from voiceguard.errors import ExitCode, StateError, UsageError
from voiceguard.service.kit import installed_in, open_store
from voiceguard.validation.files import read_given
from voiceguard.voiceprints.receiving import Received, read_export, receive, wanted
from voiceguard.voiceprints.sending import pack, write_export
from voiceguard.voiceprints.transfer import Parcel, check_passphrase, unseal

MAX_PASSPHRASE_BYTES = 65_536

PassphraseFileOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="Its first line is the passphrase; else it is asked for, unseen. Never an argument: "
        "other users can read those.",
        show_default=False,
    ),
]


def export_voiceprints(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Speakers.", autocompletion=people)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
    with_audio: Annotated[
        bool,
        typer.Option("--with-audio", help="Take along the enrollment audio that was kept."),
    ] = False,
    agreed: Annotated[
        bool, typer.Option("--yes", "-y", help="The speakers agree to this; don't ask.")
    ] = False,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Write voiceprints into one file for another machine, encrypted under a passphrase.

    Audio goes along only with --with-audio, and only of speakers who agreed to its being kept.
    """
    store = open_store(configured(config, state_dir=state_dir))
    if out.exists():
        raise UsageError(f"{out} is there already", hint="choose another name, or remove it first")
    parcels = pack(store, names, with_audio=with_audio)
    _ask_consent(parcels, agreed=agreed)
    write_export(out, parcels, _passphrase(passphrase_file, confirm=True))
    for parcel in parcels:
        speaker, seconds = parcel.voiceprint.speaker, parcel.audio and parcel.audio.seconds
        if json_lines:
            row = {"speaker": speaker, "encoder_id": parcel.voiceprint.encoder_id}
            print_json({**row, "file": str(out), "audio_s": seconds and round(seconds, 2)})
            continue
        told = f", with {seconds:.1f} s of audio" if seconds else ""
        stdout.print(f"exported {speaker}{told}")
        if with_audio and parcel.audio is None:
            stderr.print(f"no audio of {speaker} is kept, so none goes along")
    if not json_lines:
        stderr.print(
            f"{out}: take it to the other machine, `voiceguard voiceprints import`, delete it",
            soft_wrap=True,
            markup=False,
        )
    return ExitCode.OK


def import_voiceprints(
    file: Annotated[Path, typer.Argument(help="What `voiceprints export` wrote.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Only these speakers.", show_default=False),
    ] = None,
    new_name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="What the one speaker is called here."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace voiceprints that are here already.")
    ] = False,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Take voiceprints from a file that `voiceguard voiceprints export` wrote elsewhere."""
    settings = configured(config, state_dir=state_dir)
    content = read_export(file)
    passphrase = _passphrase(passphrase_file, confirm=False)
    parcels = unseal(content, passphrase, source=str(file))
    received = receive(
        open_store(settings),
        wanted(parcels, names or [], new_name),
        encoder_id=stated_encoder_id(settings.encoder.model, installed_in(settings)),
        replace=replace,
    )
    for each in received:
        _tell(each, json_lines=json_lines)
    return ExitCode.OK


def _tell(received: Received, *, json_lines: bool) -> None:
    voiceprint = received.voiceprint
    if json_lines:
        print_json(
            {
                "speaker": voiceprint.speaker,
                "encoder_id": voiceprint.encoder_id,
                "has_audio": received.has_audio,
                "needs_migration": received.needs_migration,
            }
        )
        return
    audio = " and the audio kept with it" if received.has_audio else ""
    stdout.print(
        f"imported {voiceprint.speaker} ({escape(voiceprint.display_name)}), "
        f"{len(voiceprint.templates)} take(s){audio}"
    )
    if received.needs_migration:
        stderr.print(
            f"{voiceprint.speaker} was enrolled with another encoder: "
            f"`voiceguard voiceprints migrate {voiceprint.speaker}` before it can be recognised",
            soft_wrap=True,
        )


def _ask_consent(parcels: Sequence[Parcel], *, agreed: bool) -> None:
    """They agreed to being enrolled on this machine, of which nothing was to leave.

    Raises:
        UsageError: Nobody is there to ask.
        typer.Abort: They don't agree.
    """
    if agreed:
        return
    names = ", ".join(parcel.voiceprint.speaker for parcel in parcels)
    if not sys.stdin.isatty():
        raise UsageError(
            f"consent of {names} to leaving this machine can't be asked here: standard input is "
            "no terminal",
            hint="if they agree, say so with --yes",
        )
    with_audio = any(parcel.audio is not None for parcel in parcels)
    what = "voiceprints and the audio kept with them" if with_audio else "voiceprints"
    stderr.print(f"The {what} of [bold]{names}[/] will leave this machine, encrypted.")
    typer.confirm("Do all of them agree?", abort=True, err=True)


def _passphrase(file: Path | None, *, confirm: bool) -> str:
    """Out of a file, or from a person who types it unseen.

    Raises:
        UsageError: Nobody is there to ask, or it is too short to seal with.
        StateError: The file can't be read.
    """
    if file is not None:
        try:
            lines = read_given(file, MAX_PASSPHRASE_BYTES).decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no UTF-8 text"
            raise StateError(
                f"cannot read the passphrase file {file}: {why}",
                hint="check its name and permissions",
            ) from error
        passphrase = lines[0] if lines else ""
        return check_passphrase(passphrase) if confirm else passphrase
    if not sys.stdin.isatty():
        raise UsageError(
            "the passphrase can't be asked for: standard input is no terminal",
            hint="give --passphrase-file",
        )
    typed = _typed("Passphrase: ")
    if confirm:
        check_passphrase(typed)
        if _typed("Once more: ") != typed:
            raise UsageError("the two passphrases differ", hint="give the command again")
    return typed


def _typed(prompt: str) -> str:
    """Not by typer's prompt, which asks before the terminal stops showing what is typed.

    Raises:
        typer.Abort: The person pressed Ctrl-D.
    """
    try:
        return getpass(prompt)
    except EOFError as error:
        raise typer.Abort from error
