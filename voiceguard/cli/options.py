"""Options that several commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from voiceguard.cli.shell.values import (
    brokers,
    detectors,
    devices,
    encoders,
    microphones,
    runtimes,
)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="TOML file to use instead of the usual places.", show_default=False
    ),
]
StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        help="Where voiceprints, history and encoders live (VOICEGUARD_STATE_DIR).",
        show_default=False,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="Encoder: a name of `voiceguard models list`, or a .safetensors file.",
        autocompletion=encoders,
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="auto, cpu or cuda[:N].",
        autocompletion=devices,
        show_default=False,
    ),
]
RuntimeOption = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        metavar="NAME",
        help="auto, torch, onnx or openvino.",
        autocompletion=runtimes,
        show_default=False,
    ),
]
UsernameOption = Annotated[
    str | None,
    typer.Option("--username", metavar="NAME", help="The broker's user.", show_default=False),
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        help="Holds the user's password and nothing else; mode 0600.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable, on standard output.")]
VadOption = Annotated[
    str | None,
    typer.Option(
        "--vad-backend",
        metavar="NAME",
        help="cascade, energy or silero.",
        autocompletion=detectors,
        show_default=False,
    ),
]


def source_option(told: str, *, complete: Callable[[str], list[str]] = microphones) -> Any:  # noqa: ANN401 - typer's
    """``--source``, whose help is each command's own.

    Args:
        told: The help.
        complete: What a shell completes it with.
    """
    return typer.Option(
        *("--source", "-s"),
        metavar="SOURCE",
        autocompletion=complete,
        help=told,
        show_default=False,
    )


def broker_option(told: str) -> Any:  # noqa: ANN401 - typer's
    """``--broker``, whose help is each command's own."""
    return typer.Option(
        "--broker", metavar="URL", autocompletion=brokers, help=told, show_default=False
    )


def overrides(
    *,
    state_dir: Path | None = None,
    model: str | None = None,
    device: str | None = None,
    runtime: str | None = None,
    vad_backend: str | None = None,
) -> dict[str, Any]:
    """What the shared options say, nested as the settings are; None stays unset."""
    return {
        "state_dir": None if state_dir is None else str(state_dir),
        "encoder": {"model": model, "device": device, "runtime": runtime},
        "vad": {"backend": vad_backend},
    }
