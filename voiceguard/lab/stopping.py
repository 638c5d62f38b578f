"""What runs long ends by a signal where it can go on later, not in the middle."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def stopped_by_signal() -> Iterator[Callable[[], bool]]:
    """Gives what says whether Ctrl-C or SIGTERM has come; to be asked between steps."""
    caught: list[int] = []

    def note(number: int, frame: Any) -> None:  # noqa: ARG001, ANN401 - signal's signature
        caught.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
