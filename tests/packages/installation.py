"""The packages built from this checkout, and a virtual environment that holds only the wheel.

Third-party packages are not installed again (torch alone takes minutes): those that the wheel asks
for, and theirs, are links to the ones beside this Python. Whatever else is installed here, extras
and tools of the tests, is out of reach.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]


class Installed(NamedTuple):
    """A virtual environment with the wheel, and what it was made from."""

    source: Path
    wheel: Path
    programs: Path
    home: Path

    def voiceguard(self, *words: str, is_ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs the command that was installed."""
        return run([str(self.programs / "voiceguard"), *words], home=self.home, is_ok=is_ok)

    def python(self, code: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a line of Python."""
        return run([str(self.programs / "python"), "-c", code, *words], home=self.home)


def install(wheel: Path, folder: Path) -> Path:
    """Makes a virtual environment with the wheel and what it asks for.

    Returns:
        Its directory of programs.
    """
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    programs = folder / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", f"--python={programs / 'python'}", "install", "--quiet"]
    run([*pip, "--no-index", "--no-deps", "--disable-pip-version-check", str(wheel)], home=folder)
    (site_packages,) = (folder / "venv").glob("lib/python3*/site-packages")
    linked = folder / "third-party"
    linked.mkdir()
    (requiring,) = metadata.distributions(path=[str(site_packages)])
    for path in _third_party(requiring):
        if not (linked / path.name).exists():
            (linked / path.name).symlink_to(path)
    (site_packages / "third-party.pth").write_text(f"{linked}\n")
    return programs


def install_light(wheel: Path, folder: Path) -> Path:
    """Makes a virtual environment without torch, by the script that the container is built by.

    Returns:
        Its directory of programs.
    """
    script = REPOSITORY / "packaging" / "container" / "install.sh"
    run(["sh", str(script), str(folder / "light"), str(wheel)], home=folder, timeout_s=600)
    return folder / "light" / "bin"


def _third_party(requiring: metadata.Distribution) -> Iterator[Path]:
    """The files and folders of what it asks for, directly and by others."""
    seen: set[tuple[str, str]] = set()
    waiting = [(requiring, "")]
    while waiting:
        asking, extra = waiting.pop()
        for requirement in map(Requirement, asking.requires or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            wanted = {(requirement.name, each) for each in ("", *requirement.extras)} - seen
            seen |= wanted
            distribution = metadata.distribution(requirement.name)
            waiting += [(distribution, each) for _, each in wanted]
            for name in {file.parts[0] for file in distribution.files or ()} - {".."}:
                yield Path(str(distribution.locate_file(name)))


def run(
    command: list[str], *, home: Path, is_ok: bool = True, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs a command away from the checkout, with nothing of this process's Python around it."""
    done = subprocess.run(
        command,
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert not is_ok or done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done
