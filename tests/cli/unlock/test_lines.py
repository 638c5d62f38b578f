"""Standard input as a lock's trigger: one request a line, and nothing that holds the program up."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from voiceguard.cli.unlock.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"), os.fdopen(writer, "wb"):
        yield reader, writer


async def num_lines(lines: Lines) -> int:
    found = 0
    while await lines.next():
        found += 1
    return found


@pytest.mark.parametrize(("content", "num"), [(b"", 0), (b"a\n\nb\n", 3), (b"a\nb", 2)])
async def test_a_file_has_as_many_as_it_has(content: bytes, num: int, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert await num_lines(Lines(file.fileno())) == num


async def test_a_line_counts_when_it_is_whole(pipe: tuple[int, int]) -> None:
    lines = Lines(pipe[0])
    os.write(pipe[1], b"op")
    waiting = asyncio.ensure_future(lines.next())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    os.write(pipe[1], b"en\n\n")
    assert await waiting
    assert await lines.next()


def test_nobody_waits_for_a_line_that_nobody_waits_for_any_more(pipe: tuple[int, int]) -> None:
    """As after Ctrl-C; a thread would be waited for until somebody types."""

    async def give_up() -> None:
        async with asyncio.timeout(0.05):
            await Lines(pipe[0]).next()

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
