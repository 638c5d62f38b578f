"""How long work shows where it is: a loop that somebody may watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_T = TypeVar("_T")


class Track(Protocol):
    """Shows progress over a list while it is worked through."""

    def __call__(self, items: Sequence[_T], description: str) -> Iterable[_T]: ...


def untracked(items: Sequence[_T], description: str) -> Iterable[_T]:  # noqa: ARG001
    """Shows nothing."""
    return items
