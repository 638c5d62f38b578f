"""Configurations out of plain values, as JSON gives them: every field there, none unknown."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def checked_fields(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """The values of a dataclass by name; lists become tuples.

    Raises:
        ValueError: The names are not those of the dataclass' fields.
    """
    expected = {entry.name for entry in fields(kind)}
    if set(values) != expected:
        raise ValueError(f"{kind.__name__} must have {sorted(expected)}, not {sorted(values)}")
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
