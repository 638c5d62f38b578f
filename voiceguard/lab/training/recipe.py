"""Recipes from the command line: the default one, with named values replaced.

In: ``name=value`` texts. Out: a ``TrainingConfig``.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import Any

from voiceguard.errors import ConfigError
from voiceguard.lab.training.config import TrainingConfig


def recipe(assignments: list[str], *, num_steps: int | None = None) -> TrainingConfig:
    """The default recipe with changes.

    Args:
        assignments: ``aam_weight=0``, ``crop_s=[1, 3]``, ``augment.p_room=0``, ``teacher=none``.
        num_steps: Likewise, if given.

    Raises:
        ConfigError: A name is unknown, or a value is not of its kind or out of range.
    """
    config = TrainingConfig()
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise ConfigError(
                f"--set takes NAME=VALUE, not {assignment!r}", hint="For example aam_weight=0."
            )
        config = _replaced(config, name.strip(), text.strip())
    return config if num_steps is None else replace(config, num_steps=num_steps)


def _replaced(config: TrainingConfig, name: str, text: str) -> TrainingConfig:
    part, _, inner = name.rpartition(".")
    if part and part != "augment":
        raise ConfigError(f"the recipe has no {name!r}", hint=_KNOWN)
    target: Any = config.augment if part else config
    known = {field.name for field in fields(target)} - {"augment"}
    if inner not in known:
        raise ConfigError(f"the recipe has no {name!r}", hint=_KNOWN)
    changed = replace(target, **{inner: _like(getattr(target, inner), text, name)})
    return replace(config, augment=changed) if part else changed


def _like(old: Any, text: str, name: str) -> Any:  # noqa: ANN401 - of the old value's kind
    """The text as a value of the same kind as the old one."""
    if isinstance(old, str):
        return text
    numbers = _numbers(text)
    wanted = old if isinstance(old, tuple) else (old,)
    is_like = len(numbers) == len(wanted) and all(
        number == type(each)(number) for number, each in zip(numbers, wanted, strict=True)
    )
    if not is_like:
        shown = list(old) if isinstance(old, tuple) else old
        raise ConfigError(f"{name} must be like {shown}, not {text!r}")
    values = tuple(type(each)(number) for number, each in zip(numbers, wanted, strict=True))
    return values if isinstance(old, tuple) else values[0]


def _numbers(text: str) -> list[float]:
    """``3`` or ``[1, 3]``; nothing for anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return []
    values = value if isinstance(value, list) else [value]
    are_numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return values if are_numbers and all(map(math.isfinite, values)) else []


_KNOWN = "voiceguard train --show-recipe lists every name."
