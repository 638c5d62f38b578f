"""Regular files only, and nobody waits for a FIFO."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from voiceguard.validation.files import open_own, open_regular, read_regular


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
            open_regular(path)


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
