"""Source distribution and wheel, byte for byte the same whenever and wherever they are made.

::

    python -m tests.packages.making [FOLDER]        # dist/; what `make packages` calls

From what git would commit, never from what lies about. Every time in both is that of the last
commit, every mode is what git keeps of it, and nobody owns anything: setuptools leaves those of
the checkout in a source distribution.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def make(folder: Path) -> tuple[Path, Path]:
    """Builds the source distribution from what git would commit, and the wheel from that.

    Returns:
        The source distribution and the wheel, in ``folder``.
    """
    with tempfile.TemporaryDirectory() as temporary:
        aside = Path(temporary)
        copy_checkout(aside / "checkout")
        made = _build(aside / "checkout", aside / "source", "--sdist")
        same = _the_same_always(made.read_bytes())
        unpacked = aside / "unpacked"
        with tarfile.open(fileobj=io.BytesIO(same)) as archive:
            archive.extractall(unpacked, filter="data")
        (root,) = unpacked.iterdir()
        wheel = _build(root, aside / "wheel", "--wheel")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / made.name).write_bytes(same)
        shutil.copy2(wheel, folder)
    return folder / made.name, folder / wheel.name


def last_commit_s() -> int:
    """When it was made, in seconds since 1970."""
    git = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(git, cwd=REPOSITORY, capture_output=True, check=True).stdout)


def copy_checkout(target: Path) -> None:
    """What git would commit, in a folder that is made."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and os.path.lexists(REPOSITORY / name):
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy, follow_symlinks=False)


def _build(source: Path, folder: Path, what: str) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", what, f"--outdir={folder}"]
    done = subprocess.run(
        [*command, str(source)],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "SOURCE_DATE_EPOCH": str(last_commit_s()),
        },
        umask=0o022,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    (made,) = folder.iterdir()
    return made


def _the_same_always(archive: bytes) -> bytes:
    """A source distribution in the order of its names, with times, modes and owners of nobody."""
    when_s = last_commit_s()
    plain = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as given,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as written,
    ):
        for member in sorted(given.getmembers(), key=lambda each: each.name):
            member.mtime, member.uid, member.gid = when_s, 0, 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            written.addfile(member, given.extractfile(member) if member.isfile() else None)
    return gzip.compress(plain.getvalue(), mtime=when_s)


if __name__ == "__main__":
    for path in make(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "dist"):
        print(path)
