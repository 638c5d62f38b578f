"""The limits of settings, stated where the field is: ``hop_s: Annotated[float, Between(0.1, 5)]``.

Checked whoever makes the value, the settings or a caller. The annotation is plain data, for the
documentation as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, get_type_hints


@dataclass(frozen=True, slots=True)
class Between:
    """From ``low`` to ``high``, both included."""

    low: float
    high: float = math.inf
    or_zero: bool = False
    """0 is allowed as well."""
    is_low_excluded: bool = False

    def allows(self, value: float) -> bool:
        """Whether a value lies inside; NaN never does."""
        is_above = self.low < value if self.is_low_excluded else self.low <= value
        return (is_above and value <= self.high) or (self.or_zero and value == 0)

    def __str__(self) -> str:
        """After "must be"."""
        if self.is_low_excluded:
            return f"above {self.low} and at most {self.high}"
        if self.high == math.inf:
            return f"at least {self.low}"
        return f"between {self.low} and {self.high}{' or 0' if self.or_zero else ''}"


class SettingsTable:
    """Base of the frozen dataclasses that are a table of voiceguard.toml."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_ranges(self)


def check_ranges(table: object) -> None:
    """Compares every field that has a number with its ``Between``.

    Raises:
        ValueError: One is outside; the message names it, its limits and its value.
    """
    for name, limits in _limits_of(type(table)).items():  # type: ignore[arg-type] # mypy: no class is hashable
        value = getattr(table, name)
        if isinstance(value, int | float):
            check_range(name, value, limits)


def check_range(name: str, value: float, limits: Between) -> None:
    """Raises ValueError as ``check_ranges``, for limits that depend on other fields."""
    if not limits.allows(value):
        raise ValueError(f"{name} must be {limits}, not {value}")


@lru_cache
def _limits_of(table: Any) -> dict[str, Between]:  # noqa: ANN401 - a class
    hints = get_type_hints(table, include_extras=True)
    return {
        name: each
        for name, hint in hints.items()
        for each in getattr(hint, "__metadata__", ())
        if isinstance(each, Between)
    }
