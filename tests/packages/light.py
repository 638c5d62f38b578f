"""requirements-light.txt: all that voiceguard needs to run, and nothing of torch.

::

    python -m tests.packages.light        # writes it anew, with the versions of this environment

``make requirements`` calls it; a test holds the file to what the packages ask for. pip cannot leave
a base dependency out, so this is the whole closure, to be installed with ``--no-deps``.
"""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "requirements-light.txt"

LEFT_OUT = {"torch", "torchaudio"}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")

HEAD = """\
# All that voiceguard needs to run, without torch (which trains, and runs other people's encoders):
#
#     pip install --no-deps -r requirements-light.txt voiceguard-daemon
#
# In a checkout `.` for the last word. Complete for CPython 3.11 and newer on Linux: --no-deps is
# meant. `make requirements` writes this file; a test holds it to what the packages ask for.
"""


def closure() -> dict[str, str]:
    """What is needed, by its canonical name, and the marker under which it is ("": always)."""
    asked = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*asked["dependencies"], *asked["optional-dependencies"]["home"]]
    everywhere = [_needed(wanted, each) for each in environments()]
    names = sorted(set().union(*everywhere))
    return {name: _marker([name in found for found in everywhere]) for name in names}


def environments() -> list[dict[str, str]]:
    """Where it is installed: every Python on every kind of machine."""
    return [
        {
            "python_version": python,
            "python_full_version": f"{python}.0",
            "platform_machine": machine,
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }
        for python in PYTHONS
        for machine in MACHINES
    ]


def _needed(dependencies: list[str], environment: dict[str, str]) -> set[str]:
    """Names of what these ask for, and what that asks for."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(each), "") for each in dependencies]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        marker = requirement.marker
        if name in LEFT_OUT or (marker and not marker.evaluate({**environment, "extra": extra})):
            continue
        found.add(name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                asked = metadata.requires(name) or ()
                waiting += [(Requirement(each), wanted) for each in asked]
    return found


def _marker(is_needed: list[bool]) -> str:
    """Of Python's version alone, which is all that the packages distinguish today."""
    by_python = [
        any(is_needed[index : index + len(MACHINES)])
        for index in range(0, len(is_needed), len(MACHINES))
    ]
    if all(by_python):
        return ""
    last = max(index for index, needed in enumerate(by_python) if needed)
    assert all(by_python[: last + 1]), "write the marker for this: needed by newer Pythons only"
    return f'python_version <= "{PYTHONS[last]}"'


def text() -> str:
    """The file, with the versions that are installed here."""
    lines = [
        f"{name}=={metadata.version(name)}" + (f" ; {marker}" if marker else "")
        for name, marker in closure().items()
    ]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
