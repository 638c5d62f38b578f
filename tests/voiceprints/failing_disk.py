"""A disk that fails, or a process that is killed, at the n-th step that a writer takes."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STEPS = ("open", "fsync", "replace", "link", "unlink")
"""Functions of ``os`` that a file passes on its way to the disk."""

KILLED = 9


class Steps:
    """Counts steps, and does something instead of one of them."""

    def __init__(self, at: int, instead: Callable[[str], None]) -> None:
        self.num_taken = 0
        self._at = at
        self._instead = instead

    def take(self, name: str) -> None:
        self.num_taken += 1
        if self.num_taken - 1 == self._at:
            self._instead(name)


@contextlib.contextmanager
def stepping(at: int, instead: Callable[[str], None]) -> Iterator[Steps]:
    """Within it ``instead(name)`` is called before the step of number ``at`` is taken."""
    steps = Steps(at, instead)
    real = {name: getattr(os, name) for name in STEPS}

    def through(name: str) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            steps.take(name)
            return real[name](*arguments, **options)

        return step

    try:
        for name in STEPS:
            setattr(os, name, through(name))
        yield steps
    finally:
        for name in STEPS:
            setattr(os, name, real[name])


def fail(name: str) -> None:
    """A disk that can't."""
    raise OSError(errno.EIO, f"{os.strerror(errno.EIO)} ({name})")


def die(_name: str) -> None:
    """As ``kill -9`` does it: nothing is cleaned up, nothing flushed."""
    os._exit(KILLED)


def killed_at(at: int, work: Callable[[], object]) -> bool:
    """Does work in a process of its own that dies at a step; False: it was done before that."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with stepping(at, die):
                work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in {0, KILLED}:
        raise AssertionError(f"the work of step {at} ended with {code}")
    return code == KILLED
