"""Recipes from the command line: the default one, with named values replaced.

In: ``name=value`` texts. Out: a ``TrainingConfig``.
"""

from __future__ import annotations

from typing import Any

from voiceguard.errors import ConfigError
from voiceguard.lab.training.config import TrainingConfig, tuning_of
from voiceguard.validation.parsing import parse_json
from voiceguard.validation.reading import plain, read


def recipe(
    assignments: list[str], *, num_steps: int | None = None, tuned: str | None = None
) -> TrainingConfig:
    """The default recipe, or that by which an encoder is tuned, with changes.

    Args:
        assignments: ``aam_weight=0``, ``crop_s=[1, 3]``, ``augment.p_room=0``, ``teacher=none``.
        num_steps: Likewise, if given.
        tuned: Name or path of the encoder; None: none is.

    Raises:
        ConfigError: A name is unknown, or a value is not of its kind or out of range.
    """
    values = plain(TrainingConfig() if tuned is None else tuning_of(tuned))
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise ConfigError(
                f"--set takes NAME=VALUE, not {assignment!r}", hint="For example aam_weight=0."
            )
        if tuned is not None and name.strip() in _NOT_TUNED:
            raise ConfigError(
                f"{name.strip()} is not chosen with --tune: the encoder that is tuned has its own "
                "network, and is its own teacher"
            )
        _set(values, name.strip(), text.strip())
    if num_steps is not None:
        values["num_steps"] = num_steps
    try:
        return read(TrainingConfig, values)
    except ValueError as error:
        raise ConfigError(f"the recipe cannot be this: {error}", hint=_KNOWN) from error


def _set(values: dict[str, Any], name: str, text: str) -> None:
    """Replaces one value, ``part.name`` of a part; texts are taken as they are."""
    *parts, inner = name.split(".")
    table: Any = values
    for part in parts:
        table = table.get(part) if isinstance(table, dict) else None
    if not isinstance(table, dict) or isinstance(table.get(inner), dict | None):
        raise ConfigError(f"the recipe has no {name!r}", hint=_KNOWN)
    old = table[inner]
    try:
        table[inner] = text if isinstance(old, str) else parse_json(text)
    except ValueError as error:
        raise ConfigError(f"{name} must be like {old}, not {text!r}") from error


_NOT_TUNED = ("channels", "teacher")
_KNOWN = "voiceguard train --show-recipe lists every name (of --tune where that stands before it)."
