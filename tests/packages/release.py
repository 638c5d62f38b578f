"""A release: both packages, its notes, what is inside, and hashes.

::

    python -m tests.packages.release [FOLDER]       # dist/; what `make release` calls

``voiceguard.types.VERSION`` is the version; CHANGELOG.md must have a section of it, which becomes
the notes. The software bill of materials (CycloneDX 1.6) names what a machine without torch
installs, with the versions and licences of this environment.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.packages import light, making
from voiceguard.errors import DISTRIBUTION
from voiceguard.types import RELEASED_AT, VERSION

NOTES, BILL, HASHES = "NOTES.md", "sbom.cdx.json", "SHA256SUMS"


def release(folder: Path, version: str = VERSION) -> list[Path]:
    """Writes everything.

    Raises:
        SystemExit: CHANGELOG.md says nothing of this version, or that it is of another day.
    """
    changelog = (making.REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    said = notes(changelog, version)
    check_released_at(changelog, version, RELEASED_AT)
    files = [*making.make(folder), folder / NOTES, folder / BILL]
    (folder / NOTES).write_text(said, "utf-8")
    (folder / BILL).write_text(json.dumps(bill(version), indent=2) + "\n", "utf-8")
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (folder / HASHES).write_text("".join(lines), "utf-8")
    return [*files, folder / HASHES]


def notes(changelog: str, version: str) -> str:
    """The section of a version.

    Raises:
        SystemExit: There is none.
    """
    found = re.search(rf"(?ms)^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", changelog)
    if found is None or not found[1].strip():
        sys.exit(
            f"CHANGELOG.md has no section [{version}]: give [Unreleased] that name, with the date, "
            "or change VERSION in voiceguard/types.py"
        )
    return f"# voiceguard {version}\n\n{found[1].strip()}\n"


def check_released_at(changelog: str, version: str, released_at: str) -> None:
    """Clocks that show less than this count as never set.

    Raises:
        SystemExit: The version's section has another date.
    """
    found = re.search(rf"(?m)^## \[{re.escape(version)}\] - (\S+)", changelog)
    if found is not None and not released_at.startswith(found[1]):
        sys.exit(
            f"RELEASED_AT in voiceguard/types.py is {released_at}, and CHANGELOG.md says that "
            f"{version} is of {found[1]}: make them one day"
        )


def bill(version: str) -> dict[str, Any]:
    """The software bill of materials."""
    root = f"pkg:pypi/{DISTRIBUTION}@{version}"
    parts = [_component(name) for name in light.closure()]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": DISTRIBUTION,
                "version": version,
                "purl": root,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": parts,
        "dependencies": [{"ref": root, "dependsOn": [part["bom-ref"] for part in parts]}],
    }


def _component(name: str) -> dict[str, Any]:
    found = metadata.metadata(name)
    purl = f"pkg:pypi/{name}@{found['Version']}"
    stated = [
        *(found.get_all("License-Expression") or ()),
        *(each.partition("\n")[0] for each in found.get_all("License") or ()),
    ]
    classified = [
        each.rpartition(":: ")[2]
        for each in found.get_all("Classifier") or ()
        if each.startswith("License ::")
    ]
    licence = ", ".join(stated[:1] or classified) or "not stated"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": found["Version"],
        "purl": purl,
        "licenses": [{"license": {"name": licence}}],
    }


if __name__ == "__main__":
    for path in release(Path(sys.argv[1]) if len(sys.argv) > 1 else making.REPOSITORY / "dist"):
        print(path)
