"""``voiceguard voiceprints list``, ``show``, ``rename`` and ``remove``: who is enrolled."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, print_table, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import people
from voiceguard.control.client import ControlClient
from voiceguard.decisions.wire import iso_utc, rounded
from voiceguard.encoder.library import stated_encoder_id
from voiceguard.errors import UsageError, VoiceguardError
from voiceguard.paths import state_dir as find_state_dir
from voiceguard.service.kit import installed_in, open_store
from voiceguard.service.people.forgetting import forget, forget_decisions
from voiceguard.settings import Settings
from voiceguard.types import Voiceprint
from voiceguard.voiceprints import VoiceprintStore, speaker_id
from voiceguard.voiceprints.renaming import rename

_BROKER_TIMEOUT_S = 2.0
_NOTICED_WITHIN_S, _LOOK_S = 5.0, 0.05
_WRITTEN_WITHIN_S = 0.2
"""What was decided before it was noticed is in the history by then."""


def list_voiceprints(
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """List everybody who is enrolled, and the files that can't be used, with the reason."""
    settings = configured(config, state_dir=state_dir)
    store = open_store(settings)
    loaded = store.load_all()
    encoder_id = stated_encoder_id(settings.encoder.model, installed_in(settings))
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
    _print_all(loaded.voiceprints, store)
    for voiceprint in loaded.voiceprints:
        if encoder_id not in {None, voiceprint.encoder_id}:
            error = store.of_another_encoder(voiceprint, str(encoder_id))
            _print_unusable(str(error), error.hint)
    for refusal in loaded.refusals:
        _print_unusable(refusal.reason, refusal.hint)


def _print_all(voiceprints: Sequence[Voiceprint], store: VoiceprintStore) -> None:
    table = Table("speaker", "name", "takes", "speech", "audio", "encoder", "enrolled", box=None)
    for voiceprint in voiceprints:
        table.add_row(
            voiceprint.speaker,
            escape(voiceprint.display_name),
            str(len(voiceprint.templates)),
            f"{_speech_s(voiceprint):.1f} s",
            "-" if store.audio_bytes(voiceprint.speaker) is None else "kept",
            store.encoder_name(voiceprint.encoder_id) or voiceprint.encoder_id,
            _local(voiceprint.updated_at),
        )
    print_table(table)


def show(
    name: Annotated[str, typer.Argument(help="The speaker.", autocompletion=people)],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Show one voiceprint: its takes, the encoder, when the person agreed. Never its numbers."""
    store = open_store(configured(config, state_dir=state_dir))
    voiceprint = store.load(speaker_id(name))
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


def rename_speaker(
    name: Annotated[str, typer.Argument(help="The speaker.", autocompletion=people)],
    display_name: Annotated[str, typer.Argument(help="What people shall read.")],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Give somebody another name for people to read; the one in topics and files stays."""
    store = open_store(configured(config, state_dir=state_dir))
    voiceprint = rename(store, name, display_name, now=datetime.now(UTC))
    if json_lines:
        print_json({"speaker": voiceprint.speaker, "display_name": voiceprint.display_name})
    else:
        stdout.print(f"{voiceprint.speaker} is called {voiceprint.display_name} now", markup=False)


def remove(
    name: Annotated[str, typer.Argument(help="The speaker.", autocompletion=people)],
    agreed: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Forget a person: the voiceprint, audio kept with it, and what the history knows of them."""
    settings = configured(config, state_dir=state_dir)
    name = speaker_id(name)
    if open_store(settings).holds(name) and not agreed:
        if not sys.stdin.isatty():
            raise UsageError(
                f"removing {name!r} can't be undone, and standard input is no terminal to ask on",
                hint="say so with --yes",
            )
        typer.confirm(f"Forget {name}? This can't be undone.", abort=True, err=True)
    num_decisions = forget(settings, name)
    if _is_forgotten_by_daemon(settings, name):  # which may have decided about them meanwhile
        num_decisions += forget_decisions(settings, name)
    if json_lines:
        print_json({"speaker": name, "removed": True, "num_decisions": num_decisions})
    else:
        stdout.print(f"removed {name}; {num_decisions} decision(s) in the history forgot them")
    if where := settings.people.named.get(name):
        stderr.print(
            f"{where} still names {name}: take the name out of the settings, else nobody is "
            "accepted after the daemon's next start",
            markup=False,
        )
    _tell_broker(settings, name)


def _is_forgotten_by_daemon(settings: Settings, name: str) -> bool:
    """Has a daemon that runs look at the voiceprints, and waits until it has; False: none runs."""
    try:
        with ControlClient(find_state_dir(settings.state_dir)) as daemon:
            daemon.call("reload")
            until_s = time.monotonic() + _NOTICED_WITHIN_S
            while name in daemon.call("status")["speakers"] and time.monotonic() < until_s:
                time.sleep(_LOOK_S)
    except VoiceguardError:
        return False
    time.sleep(_WRITTEN_WITHIN_S)
    return True


def _tell_broker(settings: Settings, name: str) -> None:
    """A daemon that runs does so itself, and one that starts will."""
    if settings.mqtt.address is None:
        return
    from voiceguard.mqtt.home.forgetting import forget_speaker  # noqa: PLC0415 - brings paho along

    config = replace(settings.mqtt, timeout_s=min(settings.mqtt.timeout_s, _BROKER_TIMEOUT_S))
    try:
        asyncio.run(forget_speaker(config, name))
    except VoiceguardError as error:
        stderr.print(
            f"what the broker keeps of {name} goes when the daemon next connects ({error})",
            style="dim",
            markup=False,
            soft_wrap=True,
        )


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


def _speech_s(voiceprint: Voiceprint) -> float:
    return sum(template.net_speech_s for template in voiceprint.templates)


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
