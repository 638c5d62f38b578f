"""A run's state on disk: whole or not there, and bound to its configuration.

In: tensors by name, and plain values. Out: one safetensors file. It is replaced in one step, so
that a full disk or a crash in mid-write leaves the checkpoint before it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import safetensors.torch
from safetensors import SafetensorError, safe_open

from voiceguard.errors import StateError, UsageError
from voiceguard.validation.files import check_regular
from voiceguard.voiceprints.durable import replace_durably

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor
    from torch.optim import Optimizer

NAME = "checkpoint.safetensors"
_FORMAT = "voiceguard-training-1"
_KEY = "voiceguard"


def save_checkpoint(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Replaces the checkpoint.

    Args:
        path: Of the file.
        tensors: Everything that training changes.
        about: Plain values: ``step``, ``run`` and whatever else is needed to go on.

    Raises:
        StateError: It could not be written, the disk being full for example; the old one stands.
    """
    metadata = {_KEY: json.dumps({"format": _FORMAT, **about})}
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        replace_durably((path, safetensors.torch.save(whole, metadata)))
    except OSError as error:
        raise StateError(
            f"checkpoint {path} could not be written: {error.strerror}; the one before it is whole",
            hint="Make room, then go on with the same command.",
        ) from error


def load_checkpoint(path: Path, run: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what ``save_checkpoint`` wrote.

    Args:
        path: Of the file.
        run: Configuration and material; must be what the checkpoint was made with.

    Raises:
        UsageError: The checkpoint is another run's.
        StateError: It is damaged.
    """
    try:
        check_regular(path)
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise _damaged(path, str(error)) from error
    if about.pop("format", None) != _FORMAT:
        raise _damaged(path, f"it is not of the format {_FORMAT}")
    if differing := _differences(about["run"], run):
        raise UsageError(
            f"{path.parent} holds a run with other settings: {'; '.join(differing)}",
            hint="Go on with the settings that it was begun with, or name another --out.",
        )
    return tensors, about


def _damaged(path: Path, what: str) -> StateError:
    return StateError(
        f"checkpoint {path} is damaged: {what}",
        hint="Take the folder away, or name another with --out, to begin anew.",
    )


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before, now = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            found += _differences(before, now, f"{prefix}{name}.")
        elif before != now:
            found.append(f"{prefix}{name} was {before}, now {now}")
    return found


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The optimiser's memory by name: ``optimizer.3.exp_avg``."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{number}.{name}": value
        for number, values in state.items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Gives the optimiser its memory back."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, entry = name.split(".", 2)
            state.setdefault(int(number), {})[entry] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
