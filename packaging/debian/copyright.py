"""Prints what stands in /usr/share/doc/voiceguard/copyright: copyright.py SITE-PACKAGES.

Every package inside, with the licence as it states it.
"""

from __future__ import annotations

import sys
from importlib import metadata

HEAD = """\
voiceguard: Copyright 2026 The voiceguard authors
Apache-2.0, /usr/share/common-licenses/Apache-2.0

Inside, in /opt/voiceguard/lib/python3*/site-packages, each with its licence's
text in its .dist-info:
"""
OURS = "voiceguard-daemon"


def main(site_packages: str) -> None:
    """Prints it."""
    print(HEAD)
    found = metadata.distributions(path=[site_packages])
    for each in sorted(found, key=lambda one: one.metadata["Name"].lower()):
        if each.metadata["Name"] != OURS:
            print(f"{each.metadata['Name']} {each.version}: {licence(each.metadata)}")


def licence(said: metadata.PackageMetadata) -> str:
    """As the package states it."""
    classified = [
        line.rpartition(":: ")[2]
        for line in said.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    stated = said["License-Expression"] or (said["License"] or "").partition("\n")[0]
    return stated or ", ".join(classified) or "as its metadata says"


if __name__ == "__main__":
    main(sys.argv[1])
