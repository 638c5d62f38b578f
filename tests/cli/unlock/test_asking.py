"""``voiceguard unlock listen`` and commands that there are not: told before anything is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.unlock.vectors import KEY
from voiceguard.unlock.keys import public_text

if TYPE_CHECKING:
    from pathlib import Path

LOCK = (
    "--action",
    "front-door",
    "--public-key",
    public_text(KEY),
    "--broker",
    "mqtt://127.0.0.1:9",
)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("listen", *LOCK, "--exec", "/no/such/program --now"), "no program '/no/such/program'"),
        (("listen", *LOCK, "--exec", "/etc/passwd"), "no program '/etc/passwd', or it may not be"),
        (("listen", *LOCK, "--exec", " "), "--exec names no program"),
        (("reset", "front-dor"), "there is no action 'front-dor'"),
        (("opne",), "No such command 'opne'"),
    ],
)
def test_what_there_is_not_is_an_error(
    tmp_path: Path, arguments: tuple[str, ...], fault: str
) -> None:
    done = voiceguard("unlock", *arguments, state=tmp_path)
    assert done.returncode == 2
    assert fault in " ".join(done.stderr.split())
