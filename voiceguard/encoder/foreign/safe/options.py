"""Options of a foreign configuration, each asked for by name, so that none is passed over unread.

In: plain data out of YAML or JSON. A value of the wrong kind, one that is missing and, at the end,
one that nobody asked for are errors that name it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LARGEST = 65_536
"""Of any size in a configuration: far above what a speaker encoder has, far below memory."""

_MISSING: Any = object()


class Options:
    """One section of a configuration.

    Args:
        name: The section's, for messages.
        values: Its content.
        largest: Of its whole numbers.
        literal: Whether a null is no default and a number no list of one.

    Raises:
        ValueError: It is no section.
    """

    def __init__(
        self, name: str, values: object, *, largest: int = LARGEST, literal: bool = False
    ) -> None:
        if not isinstance(values, Mapping):
            raise ValueError(f"the configuration has no section {name}")  # noqa: TRY004 - all alike
        self.name = name
        self.target = ""
        """Of which class it holds the parameters, where sections say so."""
        self._values = values
        self._largest = largest
        self._literal = literal
        self._asked: set[str] = set()

    def whole(self, name: str, default: int = _MISSING, *, least: int = 1) -> int:
        """A whole number from ``least`` to the largest; a null is the default."""
        return self._whole(name, self._get(name, default), least)

    def wholes(
        self, name: str, default: tuple[int, ...] = _MISSING, *, most: int = 1000
    ) -> tuple[int, ...]:
        """Whole numbers from 1 to the largest, at least one and at most ``most``."""
        value = self._get(name, default)
        values = [value] if isinstance(value, int) and not self._literal else value
        if not isinstance(values, list | tuple) or not 1 <= len(values) <= most:
            raise ValueError(
                f"{self.name}.{name} must be a list of 1 to {most} whole numbers, not {value!r}"
            )
        return tuple(self._whole(name, entry, 1) for entry in values)

    def number(self, name: str, default: float, *, null: float = _MISSING) -> float:
        """A number; a null means ``null``, or else the default."""
        value = self._get(name, default, null)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            raise ValueError(f"{self.name}.{name} must be a number, not {value!r}")
        return float(value)

    def flag(self, name: str, *, default: bool = _MISSING) -> bool:
        """True or false."""
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise ValueError(f"{self.name}.{name} must be true or false, not {value!r}")  # noqa: TRY004
        return value

    def text(self, name: str, default: str = _MISSING) -> str:
        """A text."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise ValueError(f"{self.name}.{name} must be a text, not {value!r}")  # noqa: TRY004
        return value

    def sections(self, name: str) -> list[Options]:
        """A list of sections."""
        values = self._get(name, _MISSING)
        if not isinstance(values, list):
            raise ValueError(f"{self.name}.{name} must be a list, not {values!r}")  # noqa: TRY004
        limits: Any = {"largest": self._largest, "literal": self._literal}
        return [
            Options(f"{self.name}.{name}[{i}]", value, **limits) for i, value in enumerate(values)
        ]

    def only(self, name: str, supported: object) -> None:
        """An option of which voiceguard follows one value, or its absence."""
        self._asked.add(name)
        value = self._values.get(name, supported)
        if value != supported:
            raise ValueError(
                f"{self.name}.{name} is {value!r}; voiceguard computes {supported!r} only"
            )

    def ignore(self, *names: str) -> None:
        """Options that change no embedding."""
        self._asked.update(names)

    def finish(self) -> None:
        """Every option must have been asked for."""
        if unknown := sorted(map(str, set(self._values) - self._asked)):
            raise ValueError(f"{self.name}.{unknown[0]} is an option that voiceguard does not know")

    def _get(self, name: str, default: Any, null: Any = _MISSING) -> Any:  # noqa: ANN401
        self._asked.add(name)
        value = self._values.get(name, default)
        if value is None and null is not _MISSING:
            value = null
        elif value is None and not self._literal:
            value = default
        if value is _MISSING:
            raise ValueError(f"the configuration has no {self.name}.{name}")
        return value

    def _whole(self, name: str, value: object, least: int) -> int:
        largest = self._largest
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= largest:
            raise ValueError(
                f"{self.name}.{name} must be a whole number from {least} to {largest}, not "
                f"{value!r}"
            )
        return value
