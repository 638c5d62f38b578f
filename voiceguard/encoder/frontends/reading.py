"""Reads a front end's parameters from a card."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping


_Config = TypeVar("_Config")


def parameters(kind: type[_Config], values: Mapping[str, Any]) -> _Config:
    """A configuration of exactly these values.

    Args:
        kind: A frozen dataclass with a ``version``.
        values: Its fields, and the version that it had when they were written.

    Raises:
        ValueError: A parameter is missing, unknown, of a wrong kind or impossible, or the version
            is not what this voiceguard computes from these parameters.
    """
    untyped: Any = kind
    given = {name: value for name, value in values.items() if name != "version"}
    expected = {entry.name for entry in fields(untyped)}
    if set(given) != expected:
        raise ValueError(f"features must be {sorted(expected)}, not {sorted(given)}")
    config = untyped(**given)
    if values.get("version") != config.version:
        raise ValueError(
            f"features are version {values.get('version')!r}; this voiceguard computes "
            f"{config.version!r}"
        )
    read: _Config = config
    return read
