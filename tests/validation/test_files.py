"""Regular files only, and nobody waits for a FIFO."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from voiceguard.validation.files import (
    check_regular,
    open_own,
    read_given,
    read_regular,
    read_text,
    read_whole,
)


def test_a_regular_file_is_read_through_a_link_and_no_further_than_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 4) == b"0123"


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    for path, kind in (
        (tmp_path / "fifo", "a FIFO"),
        (tmp_path / "link", "a FIFO"),
        (tmp_path, "a directory"),
        (Path("/dev/zero"), "a device"),
    ):
        with pytest.raises(OSError, match=kind):
            check_regular(path)
        if kind != "a FIFO":
            with pytest.raises(OSError, match=kind):
                read_given(path, 10)


def test_a_file_is_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfhut\r\n")
    assert read_whole(path, 8) == read_given(path, 8) == path.read_bytes()
    assert read_text(path, 8) == "hut\r\n"
    for reading in (read_whole, read_text, read_given):
        with pytest.raises(OSError, match="larger than 7 bytes"):
            reading(path, 7)


def test_a_command_may_be_handed_a_pipe_and_waits_for_its_end() -> None:
    """As by ``<(command)``: it may come in pieces, and there may be nothing in it."""
    reader, writer = os.pipe()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_given, Path(f"/dev/fd/{reader}"), 6)
        os.write(writer, b"abc")
        os.write(writer, b"def")
        os.close(writer)
        assert reading.result(10) == b"abcdef"
    assert read_given(Path(f"/dev/fd/{reader}"), 6) == b""
    os.close(reader)


def test_a_pipe_without_end_is_left_and_one_that_is_silent_too(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"0123456789")
    with pytest.raises(OSError, match="larger than 9 bytes"):
        read_given(Path(f"/dev/fd/{reader}"), 9)
    with pytest.raises(OSError, match="nothing has come"):
        read_given(Path(f"/dev/fd/{reader}"), 9, patience_s=0.05)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="nothing has come"):
        read_given(tmp_path / "fifo", 9, patience_s=0.05)
    os.close(reader)
    os.close(writer)


def test_a_file_of_ours_is_no_link_and_has_one_name(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(victim)
    os.link(victim, tmp_path / "twin")
    os.mkfifo(tmp_path / "fifo")
    for name, why in (("link", "symbolic link"), ("twin", "another name"), ("fifo", "a FIFO")):
        with pytest.raises(OSError, match=why):
            open_own(tmp_path / name, 0o600)
    os.close(open_own(tmp_path / "new", 0o600))
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
