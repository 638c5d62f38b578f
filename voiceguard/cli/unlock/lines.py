"""Lines of standard input, waited for on the event loop: no thread could be told to leave off."""

from __future__ import annotations

import asyncio
import os

_READ_BYTES = 4096


class Lines:
    """How many lines have come, whatever they say.

    Args:
        descriptor: Of a terminal, a pipe or a file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._num_lines = 0
        self._is_within = False
        """Something has come of a line that is not at its end."""

    async def next(self) -> bool:
        """Waits for the next line; False where none will come."""
        while not self._num_lines:
            data = await self._read()
            if not data:
                was_within, self._is_within = self._is_within, False
                return was_within
            self._num_lines += data.count(b"\n")
            self._is_within = not data.endswith(b"\n")
        self._num_lines -= 1
        return True

    async def _read(self) -> bytes:
        loop, has_come = asyncio.get_running_loop(), asyncio.Event()
        try:
            loop.add_reader(self._descriptor, has_come.set)
        except PermissionError:  # a regular file, which nobody waits for
            return os.read(self._descriptor, _READ_BYTES)
        try:
            await has_come.wait()
        finally:
            loop.remove_reader(self._descriptor)
        return os.read(self._descriptor, _READ_BYTES)
