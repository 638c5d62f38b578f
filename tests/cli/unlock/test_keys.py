"""``voiceguard unlock keys`` and ``verify``, as they are typed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.cli.command import voiceguard
from tests.unlock.vectors import ENVELOPE, KEY, NONCE
from voiceguard.unlock.envelope import seal
from voiceguard.unlock.keys import public_text

if TYPE_CHECKING:
    from pathlib import Path


def test_the_public_key_alone_is_on_standard_output(tmp_path: Path) -> None:
    first = voiceguard("unlock", "keys", state=tmp_path)
    assert re.fullmatch(r"[0-9a-f]{64}\n", first.stdout)
    told = json.loads(voiceguard("unlock", "keys", "--json", state=tmp_path).stdout)
    assert told["public_key"] == first.stdout.strip()
    assert (tmp_path / "unlock.key").read_text().strip() not in first.stdout + first.stderr
    assert voiceguard("unlock", "keys", "--renew", state=tmp_path).stdout != first.stdout


def test_an_envelope_is_shown_or_refused(tmp_path: Path) -> None:
    message, public = seal(ENVELOPE, KEY), public_text(KEY)
    arguments = ("unlock", "verify", "--public-key", public, "--nonce", NONCE)
    shown = voiceguard(*arguments, "--json", state=tmp_path, stdin=message)
    assert json.loads(shown.stdout)["speaker"] == "anna"
    for broken, why in (
        (message[:-1], "the signature is not"),
        (b"\0" * 1_000_000, "65 to 2048 bytes"),
    ):
        refused = voiceguard(*arguments, state=tmp_path, stdin=broken)
        assert refused.returncode == 3
        assert why in refused.stderr
    other = voiceguard(*arguments, "--action", "garage", state=tmp_path, stdin=message)
    assert "for the action 'front-door', not 'garage'" in other.stderr
    short = voiceguard("unlock", "verify", "--nonce", "ab", state=tmp_path, stdin=message)
    assert "`voiceguard unlock keys` makes it" in short.stderr
