"""A root file system of Debian, as debootstrap makes it, and programs that run in a copy of it.

``make debian-root`` makes it, once, in a cache beside that of Home Assistant; it takes root. What
runs in a copy has processes, mounts and, unless it asks for it, a network of its own: loopback,
which is down.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services import require_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Root:
    """A folder with a Debian in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        *words: str,
        has_network: bool = False,
        is_ok: bool = True,
        before: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program in it as root.

        Args:
            words: The program, and what it is told.
            has_network: This machine's.
            is_ok: Whether it must succeed.
            before: A line of shell, in the mounts of the program, with $ROOT.
            environment: Beside what ENV said.
        """
        alone = ["--mount", "--pid", "--fork", "--kill-child", *([] if has_network else ["--net"])]
        shell = f'mount -t proc proc "$ROOT/proc"; {before or ":"}; exec chroot "$ROOT" "$@"'
        done = subprocess.run(
            ["unshare", *alone, "sh", "-euc", shell, "sh", *words],
            env={
                "PATH": PATH,
                "HOME": "/root",
                "LC_ALL": "C.UTF-8",
                "DEBIAN_FRONTEND": "noninteractive",
                "ROOT": str(self.folder),
                **self.environment,
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert not is_ok or done.returncode == 0, f"{words}:\n{done.stdout}{done.stderr}"
        return done

    def copy(self, folder: Path) -> Root:
        """Another one with the same files."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self.folder, folder], check=True)
        return Root(folder, dict(self.environment))

    def bring(self, files: Sequence[Path | str], target: str) -> None:
        """Copies files and folders of this machine into a folder of it, or under its name."""
        to = self.folder / target.removeprefix("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        if target.endswith("/"):
            to.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", "--no-preserve=ownership", *files, to], check=True)

    def lend_network(self) -> None:
        """How this machine finds package indexes: for what is thrown away in the end."""
        for name in ("etc/resolv.conf", "etc/pip.conf", str(CERTIFICATES)):
            if (Path("/") / name).exists():
                self.bring([Path("/") / name], f"/{name}")
        self.environment["PIP_CERT"] = self.environment["SSL_CERT_FILE"] = f"/{CERTIFICATES}"

    @property
    def num_bytes(self) -> int:
        """Of its files, each counted once."""
        files = {
            (status.st_dev, status.st_ino): status.st_size
            for each in self.folder.rglob("*")
            if (status := each.lstat()) and not each.is_dir() and not each.is_symlink()
        }
        return sum(files.values())


def debian() -> Root:
    """The one that was made, which nobody may write to; without it a user's test is skipped."""
    if os.geteuid() != 0:
        pytest.skip("a root file system takes root: as root, or as .ci/run does")
    for name in ("unshare", "chroot", "dpkg-deb", "apt-get"):
        require_program(name)
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "voiceguard" / f"debian-{release}"
    if not (folder / "usr/bin/python3").exists():
        message = f"there is no {folder}: run `make debian-root` as root (some minutes, 190 MB)"
        if os.environ.get("VOICEGUARD_REQUIRE_SERVICES") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return Root(folder)


def remove(root: Root) -> None:
    """Takes it away."""
    shutil.rmtree(root.folder)
