"""``voiceguard verify`` and ``voiceguard identify``: one recording, one decision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from voiceguard.api import Guard
from voiceguard.audio.files import SoundFile
from voiceguard.cli.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    StateDirOption,
    VadOption,
)
from voiceguard.cli.output import format_llr, print_json, stdout, styled_outcome
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import people
from voiceguard.decisions.explain import BY_SCORE, explain
from voiceguard.decisions.wire import judgement_payload
from voiceguard.errors import ExitCode
from voiceguard.service.kit import assemble
from voiceguard.settings import Settings

if TYPE_CHECKING:
    from voiceguard.decisions.result import Judgement

EXIT_CODES = {
    "accepted": ExitCode.OK,
    "rejected": ExitCode.REJECTED,
    "unknown": ExitCode.REJECTED,
    "inconclusive": ExitCode.INCONCLUSIVE,
}


def verify(
    name: Annotated[str, typer.Argument(help="The claimed speaker.", autocompletion=people)],
    file: Annotated[Path, typer.Argument(help="A recording, in any container.")],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    vad_backend: VadOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Is this recording the voice of NAME?

    Exits with 0 when accepted, 3 when rejected, 4 when inconclusive.
    """
    settings = configured(
        config, state_dir=state_dir, model=model, device=device, vad_backend=vad_backend
    )
    return _decide(name, file, settings, json_lines=json_lines)


def identify(
    file: Annotated[Path, typer.Argument(help="A recording, in any container.")],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    vad_backend: VadOption = None,
    json_lines: JsonOption = False,
) -> int:
    """Which enrolled speaker is this recording, if any?

    Exits with 0 when accepted, 3 when it is nobody enrolled, 4 when inconclusive.
    """
    settings = configured(
        config, state_dir=state_dir, model=model, device=device, vad_backend=vad_backend
    )
    return _decide(None, file, settings, json_lines=json_lines)


def _decide(claim: str | None, file: Path, settings: Settings, *, json_lines: bool) -> int:
    guard = Guard(assemble(settings))
    recording = SoundFile(file, settings.audio.channel)
    judgement = guard.identify(recording) if claim is None else guard.verify(claim, recording)
    if json_lines:
        faults = recording.faults()
        damage = {"audio_faults": faults} if faults else {}
        print_json({"file": str(file), **_payload(judgement), **damage})
    else:
        _print(file, judgement)
    return int(EXIT_CODES[judgement.outcome])


def _payload(judgement: Judgement) -> dict[str, Any]:
    """Field names as in the published decision; the threshold and its rate with every digit."""
    return {
        **judgement_payload(judgement),
        "accept_llr": judgement.accept_llr,
        "p_fa": judgement.p_fa,
        "encoder_id": judgement.encoder_id,
    }


def _print(file: Path, judgement: Judgement) -> None:
    best = judgement.scores[0] if judgement.scores else None
    who = escape(judgement.speaker_name or (f"best: {best.name}" if best else ""))
    stdout.print(f"{styled_outcome(judgement.outcome)} {who} [dim]({judgement.reason})[/]")
    if best is not None and best.llr is None:
        stdout.print(f"  cosine {best.cosine:.2f}")
    elif best is not None:
        stdout.print(
            f"  LLR {format_llr(best.llr)}, {format_llr(judgement.accept_llr)} needed at "
            f"p_fa {judgement.p_fa:g}; cosine {best.cosine:.2f}"
        )
    level = "" if judgement.net_speech_s == 0 else f" at {judgement.snr_db:.0f} dB"
    stdout.print(
        f"  {judgement.net_speech_s:.1f} s of speech{level} in {file}",
        markup=False,
        soft_wrap=True,
    )
    if judgement.reason not in BY_SCORE:  # the figures say nothing of those
        stdout.print(f"  {explain(_payload(judgement))}", markup=False, soft_wrap=True)
