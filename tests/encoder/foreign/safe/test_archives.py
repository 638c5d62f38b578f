"""Archives that nobody vouches for: what is read of them, and what is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.encoder.nemo_files import write_archive
from voiceguard.encoder.foreign.safe import archives
from voiceguard.encoder.foreign.safe.archives import (
    MOST_BYTES,
    MOST_HEADER_BYTES,
    MOST_MEMBERS,
    is_tar,
    read_members,
)
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = {"./a.yaml": b"a: 1\n", "./b.ckpt": bytes(range(256)) * 40, "./other.txt": b"?"}
WANTED = {"a.yaml": 100, "b.ckpt": 20_000}


@pytest.mark.parametrize("is_gzip", [False, True])
def test_the_members_wanted_are_read_and_no_others(tmp_path: Path, *, is_gzip: bool) -> None:
    path = write_archive(tmp_path / "x.nemo", CONTENT, is_gzip=is_gzip)
    assert is_tar(path)
    found = read_members(path, WANTED)
    assert found == {"a.yaml": CONTENT["./a.yaml"], "b.ckpt": CONTENT["./b.ckpt"]}
    assert list(tmp_path.iterdir()) == [path]


def test_names_need_no_leading_dot(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "x.nemo", {"a.yaml": b"1", "b.ckpt": b"2"})
    assert read_members(path, WANTED) == {"a.yaml": b"1", "b.ckpt": b"2"}


def hostile(path: Path, *members: tarfile.TarInfo) -> Path:
    """An archive with what belongs there, and these."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in CONTENT.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def made(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, size
    return member


@pytest.mark.parametrize(
    "name", ["../a.yaml", "./x/../../b.ckpt", "/etc/passwd", "..", "x\\..\\..\\b.ckpt"]
)
def test_a_member_that_leads_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    path = hostile(tmp_path / "x.nemo", made(name, size=3))
    with pytest.raises(EncoderError, match="leads out of it") as caught:
        read_members(path, WANTED)
    assert "Don't use" in caught.value.hint
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE],
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = hostile(tmp_path / "x.nemo", made("./c.ckpt", kind, "/etc/passwd"))
    with pytest.raises(EncoderError, match="neither a file nor a directory"):
        read_members(path, WANTED)


def test_a_link_in_place_of_the_weights_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.nemo", "w") as archive:
        archive.addfile(made("./a.yaml", tarfile.SYMTYPE, "/etc/passwd"))
    with pytest.raises(EncoderError, match=r"link.*a\.yaml"):
        read_members(tmp_path / "x.nemo", WANTED)


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    """A few bytes of it stand for any number of zeros."""
    sparse = made("./c.ckpt")
    sparse.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": "5"}
    with pytest.raises(EncoderError, match="neither a file nor a directory"):
        read_members(hostile(tmp_path / "x.nemo", sparse), WANTED)


def test_more_than_is_wanted_of_a_member_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "x.nemo", {**CONTENT, "./a.yaml": bytes(101)})
    with pytest.raises(EncoderError, match=r"a\.yaml has 101 bytes; at most 100"):
        read_members(path, WANTED)


@pytest.mark.parametrize("name", ["./b.ckpt", "./other.txt"])
def test_a_huge_declared_size_is_refused(tmp_path: Path, name: str) -> None:
    header = made(name, size=MOST_BYTES + 1).tobuf(tarfile.PAX_FORMAT)
    (tmp_path / "x.nemo").write_bytes(header + bytes(10_240))
    with pytest.raises(EncoderError, match="2,147,483,649 bytes"):
        read_members(tmp_path / "x.nemo", WANTED)


def test_a_huge_header_is_refused(tmp_path: Path) -> None:
    """What tarfile itself would read whole, to know a member's long name."""
    header = made("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=10 * MOST_HEADER_BYTES)
    with gzip.open(tmp_path / "x.nemo", "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(10 * MOST_HEADER_BYTES))
    with pytest.raises(EncoderError, match="a header asks for 10,48"):
        read_members(tmp_path / "x.nemo", WANTED)


@pytest.mark.parametrize("is_gzip", [False, True])
def test_more_than_an_archive_may_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_gzip: bool
) -> None:
    """Members that are small enough one by one; gzip makes a few bytes of them."""
    monkeypatch.setattr(archives, "MOST_BYTES", 200_000)
    zeros = {f"./{number}": bytes(90_000) for number in range(4)}
    path = write_archive(tmp_path / "x.nemo", {**zeros, **CONTENT}, is_gzip=is_gzip)
    with pytest.raises(EncoderError, match="unpacked it has more than 200,000 bytes"):
        read_members(path, WANTED)


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    extra = {f"./{number}": b"" for number in range(MOST_MEMBERS)}
    with pytest.raises(EncoderError, match=f"more than {MOST_MEMBERS} members"):
        read_members(write_archive(tmp_path / "x.nemo", {**extra, **CONTENT}), WANTED)


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    path = hostile(tmp_path / "x.nemo", made("a.yaml", size=3))
    with pytest.raises(EncoderError, match=r"a\.yaml twice"):
        read_members(path, WANTED)


@pytest.mark.parametrize("is_gzip", [False, True])
def test_every_truncation_is_told(tmp_path: Path, *, is_gzip: bool) -> None:
    whole = write_archive(tmp_path / "x.nemo", CONTENT, is_gzip=is_gzip).read_bytes()
    path = tmp_path / "cut.nemo"
    needed = len(whole) if is_gzip else whole.index(CONTENT["./b.ckpt"]) + len(CONTENT["./b.ckpt"])
    for length in range(0, needed, max(needed // 60, 1)):
        path.write_bytes(whole[:length])
        with pytest.raises(EncoderError, match=r"no complete archive|has no [ab]\."):
            read_members(path, WANTED)


def test_every_flipped_bit_of_a_gzipped_archive_is_told(tmp_path: Path) -> None:
    whole = write_archive(tmp_path / "x.nemo", CONTENT, is_gzip=True).read_bytes()
    path = tmp_path / "flipped.nemo"
    for place in range(10 + len(b"x.nemo") + 1, len(whole), 7):  # after gzip's own header
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(EncoderError, match=r"no complete archive|has no [ab]\."):
            read_members(path, WANTED)


def test_flipped_bits_of_headers_are_told(tmp_path: Path) -> None:
    whole = write_archive(tmp_path / "x.nemo", CONTENT).read_bytes()
    path = tmp_path / "flipped.nemo"
    for place in range(0, 3 * 512, 13):  # of ".", and of a.yaml with its content
        if 1024 <= place < 1024 + 512:
            continue
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(EncoderError, match=r"no complete archive|has no [ab]\."):
            read_members(path, WANTED)


@pytest.mark.parametrize(
    "content", [b"", b"\x1f\x8b", b"\x1f\x8b" + bytes(600), b"PK\x03\x04" * 300]
)
def test_other_files_are_no_archives(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.nemo"
    path.write_bytes(content)
    assert not is_tar(path)
    with pytest.raises(EncoderError, match="no complete archive"):
        read_members(path, WANTED)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"gone\.nemo cannot be read: No such file"):
        read_members(tmp_path / "gone.nemo", WANTED)
    assert not is_tar(tmp_path / "gone.nemo")
