"""``voiceguard models export``: an encoder as an ONNX file with its sidecar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voiceguard.cli.options import ConfigOption, JsonOption, ModelOption, StateDirOption
from voiceguard.cli.output import print_json, stdout
from voiceguard.cli.settings import configured
from voiceguard.encoder.card import native
from voiceguard.encoder.export.onnx_file import Placement, export_onnx
from voiceguard.encoder.library import find_model
from voiceguard.errors import EncoderError, StateError
from voiceguard.service.kit import installed_in


def export_command(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The file to write; NAME.onnx here without.", show_default=False
        ),
    ] = None,
    features: Annotated[
        Placement,
        typer.Option(
            "--features",
            help="outside: the file takes the features, which its sidecar describes; inside: it "
            "takes the 16 kHz waveform.",
        ),
    ] = Placement.OUTSIDE,
    model: ModelOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Export an ECAPA-TDNN or CAM++ to ONNX, time axis dynamic, with a sidecar to describe it.

    ONNX Runtime runs the file on several lengths, and nothing is written unless it gives what torch
    gives. `voiceguard models import FILE.onnx` brings it back. Needs torch.
    """
    settings = configured(config, state_dir=state_dir, model=model)
    path = find_model(settings.encoder.model, installed_in(settings))
    if path.suffix != ".safetensors":
        raise EncoderError(
            f"encoder {settings.encoder.model!r} is the program {path}: there are no weights to "
            "export",
            hint="Copy that file, or choose another encoder with --model.",
        )
    card, network = native.load(path)
    target = out or Path(f"{card.name}.onnx")
    try:
        exported = export_onnx(card, network, target, features=features)
    except OSError as error:
        raise StateError(
            f"cannot write {target}: {error.strerror or error}",
            hint="Free some space, or choose another place with --out.",
        ) from error
    seconds = [round(each, 2) for each in exported.checked_s]
    if json_lines:
        print_json(
            {
                "path": str(exported.path),
                "sidecar": str(exported.sidecar_path),
                "encoder": card.encoder_id,
                "num_bytes": exported.num_bytes,
                "max_relative_error": exported.max_relative_error,
                "checked_s": seconds,
            }
        )
        return
    sidecar, deviation = exported.sidecar, exported.max_relative_error
    given = f"{sidecar.input} ({sidecar.layout.value})"
    taken = f"{sidecar.output} ({sidecar.embedding_dim})"
    lengths = ", ".join(f"{each:g}" for each in seconds)
    for line in (
        f"{exported.path}: {exported.num_bytes / 1e6:.1f} MB, {given} in, {taken} out",
        f"{exported.sidecar_path}: describes it",
        f"ONNX Runtime gives what torch gives on {lengths} s, to {deviation:.1g} of the largest",
    ):
        stdout.print(line, markup=False, soft_wrap=True)
