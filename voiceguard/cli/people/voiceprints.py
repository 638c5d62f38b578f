"""``voiceguard voiceprints``: who is enrolled; look at, move and forget one, change encoders."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption, overrides
from voiceguard.cli.output import print_json, print_table, stderr, stdout
from voiceguard.cli.people.migrate import migrate
from voiceguard.cli.people.transfer import export_voiceprints, import_voiceprints
from voiceguard.decisions.wire import iso_utc, rounded
from voiceguard.errors import StateError, UsageError, VoiceguardError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.settings import Settings
    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints import VoiceprintStore

app = typer.Typer(help="Who is enrolled: list, show, migrate, move, remove.", no_args_is_help=True)


@app.command("list")
def list_voiceprints(
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """List everybody who is enrolled, and the files that can't be used, with the reason."""
    from voiceguard.encoder.library import stated_encoder_id
    from voiceguard.service.kit import encoder_name, installed_in, open_store

    settings = _settings(config, state_dir)
    store = open_store(settings)
    loaded = store.load_all()
    encoder_id = stated_encoder_id(settings.encoder.model, installed_in(settings))
    others = [
        voiceprint
        for voiceprint in loaded.voiceprints
        if encoder_id is not None and voiceprint.encoder_id != encoder_id
    ]
    if json_lines:
        for voiceprint in loaded.voiceprints:
            print_json(
                {
                    "readable": True,
                    **payload(voiceprint),
                    "of_encoder_in_use": encoder_id in {None, voiceprint.encoder_id},
                    "audio_bytes": store.audio_bytes(voiceprint.speaker),
                }
            )
        for refusal in loaded.refusals:
            print_json({"speaker": refusal.speaker, "readable": False, "reason": refusal.reason})
        return
    if not store.names():
        stderr.print("Nobody is enrolled: `voiceguard enroll NAME`.")
        return
    table = Table("speaker", "name", "takes", "speech", "audio", "encoder", "enrolled", box=None)
    for voiceprint in loaded.voiceprints:
        table.add_row(
            voiceprint.speaker,
            escape(voiceprint.display_name),
            str(len(voiceprint.templates)),
            f"{_speech_s(voiceprint):.1f} s",
            "-" if store.audio_bytes(voiceprint.speaker) is None else "kept",
            encoder_name(settings, voiceprint.encoder_id) or voiceprint.encoder_id,
            _local(voiceprint.updated_at),
        )
    print_table(table)
    for voiceprint in others:
        error = store.of_another_encoder(voiceprint, str(encoder_id))
        _print_unusable(str(error), error.hint)
    for refusal in loaded.refusals:
        _print_unusable(refusal.reason, refusal.hint)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The speaker.")],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Show one voiceprint: its takes, the encoder, when the person agreed. Never its numbers."""
    from voiceguard.service.kit import open_store

    store = open_store(_settings(config, state_dir))
    voiceprint = store.load(name)
    audio = _audio_payload(store, voiceprint)
    if json_lines:
        print_json({**payload(voiceprint), "audio": audio})
        return
    stdout.print(f"[bold]{voiceprint.speaker}[/] ({escape(voiceprint.display_name)})")
    stdout.print(f"consent given {_local(voiceprint.consent_at)}")
    stdout.print(f"enrolled {_local(voiceprint.created_at)}")
    stdout.print(f"changed {_local(voiceprint.updated_at)}")
    stdout.print(f"encoder {store.describe_encoder(voiceprint.encoder_id)}")
    stdout.print(_describe_audio(audio), soft_wrap=True)
    table = Table("take", "label", "speech", "SNR", "to the others", "recorded", box=None)
    agreements = take_agreements(voiceprint)
    for number, (template, agreement) in enumerate(
        zip(voiceprint.templates, agreements, strict=True), start=1
    ):
        table.add_row(
            str(number),
            escape(template.label) or "-",
            f"{template.net_speech_s:.1f} s",
            f"{template.snr_db:.0f} dB",
            "-" if agreement is None else f"{agreement:.2f}",
            _local(template.created_at),
        )
    print_table(table)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The speaker.")],
    agreed: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Forget a person: the voiceprint, audio kept with it, and what the history knows of them."""
    from voiceguard.decisions.history import History
    from voiceguard.paths import history_file
    from voiceguard.paths import state_dir as find_state_dir
    from voiceguard.service.kit import open_store

    settings = _settings(config, state_dir)
    store = open_store(settings)
    is_enrolled = store.holds(name)
    if is_enrolled and not agreed:
        if not sys.stdin.isatty():
            raise UsageError(
                f"removing {name!r} can't be undone, and standard input is no terminal to ask on",
                hint="say so with --yes",
            )
        typer.confirm(f"Forget {name}? This can't be undone.", abort=True, err=True)
    if is_enrolled:
        store.remove(name)
    history = History(history_file(find_state_dir(settings.state_dir)), settings.history)
    try:
        num_decisions = history.forget(name)
    except StateError as error:
        raise StateError(
            f"the history still names {name!r}, whose voiceprint is gone: {error}",
            hint="free some space or mend its permissions, then give this command again",
        ) from error
    finally:
        history.close()
    if not is_enrolled and not num_decisions:
        store.remove(name)  # says that there is nobody of that name
    if json_lines:
        print_json({"speaker": name, "removed": True, "num_decisions": num_decisions})
    else:
        stdout.print(f"removed {name}; {num_decisions} decision(s) in the history forgot them")


app.command("migrate")(migrate)
app.command("export")(export_voiceprints)
app.command("import")(import_voiceprints)


def payload(voiceprint: Voiceprint) -> dict[str, Any]:
    """A voiceprint for machines: everything but the embeddings."""
    return {
        "speaker": voiceprint.speaker,
        "display_name": voiceprint.display_name,
        "encoder_id": voiceprint.encoder_id,
        "consent_at": iso_utc(voiceprint.consent_at),
        "created_at": iso_utc(voiceprint.created_at),
        "updated_at": iso_utc(voiceprint.updated_at),
        "net_speech_s": rounded(_speech_s(voiceprint), 2),
        "takes": [
            {
                "label": template.label,
                "net_speech_s": rounded(template.net_speech_s, 2),
                "snr_db": rounded(template.snr_db, 1),
                "agreement": rounded(agreement, 3),
                "created_at": iso_utc(template.created_at),
            }
            for template, agreement in zip(
                voiceprint.templates, take_agreements(voiceprint), strict=True
            )
        ],
    }


def take_agreements(voiceprint: Voiceprint) -> list[float | None]:
    """Per take the median cosine to the other ones; None for a single take."""
    embeddings = np.stack([template.embedding for template in voiceprint.templates])
    cosines = embeddings @ embeddings.T  # (num_templates, num_templates)
    if len(cosines) == 1:
        return [None]
    return [float(np.median(np.delete(row, i))) for i, row in enumerate(cosines)]


def _audio_payload(store: VoiceprintStore, voiceprint: Voiceprint) -> dict[str, Any] | None:
    """What is kept of the takes' audio, for machines; None where none is."""
    num_bytes = store.audio_bytes(voiceprint.speaker)
    if num_bytes is None:
        return None
    try:
        audio = store.load_audio(voiceprint)
    except VoiceguardError as error:
        return {"num_bytes": num_bytes, "fault": str(error)}
    assert audio is not None
    return {
        "num_bytes": num_bytes,
        "fault": None,
        "num_takes": len(audio.takes),
        "seconds": rounded(audio.seconds, 2),
        "consent_at": [iso_utc(take.consent_at) for take in audio.takes],
    }


def _describe_audio(audio: dict[str, Any] | None) -> str:
    if audio is None:
        return "no audio is kept"
    size = f"{audio['num_bytes'] / 1000:.0f} kB"
    if audio["fault"] is not None:
        return f"[bold red]audio unusable[/] ({size}): {escape(audio['fault'])}"
    agreed = datetime.fromisoformat(min(audio["consent_at"]))
    return (
        f"audio kept of {audio['num_takes']} take(s): {audio['seconds']:.1f} s, {size}, "
        f"encrypted; agreed to {_local(agreed)}"
    )


def _print_unusable(reason: str, hint: str) -> None:
    told = f"{escape(reason)}: {escape(hint)}" if hint else escape(reason)
    stdout.print(f"[bold red]unusable:[/] {told}", soft_wrap=True)


def _settings(config: Path | None, state_dir: Path | None) -> Settings:
    from voiceguard.logs import configure_logging
    from voiceguard.settings import load_settings

    settings = load_settings(config, **overrides(state_dir=state_dir))
    configure_logging(settings.log)
    return settings


def _speech_s(voiceprint: Voiceprint) -> float:
    return sum(template.net_speech_s for template in voiceprint.templates)


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
