"""What can be a host."""

from __future__ import annotations

import pytest

from voiceguard.validation.hosts import is_host


@pytest.mark.parametrize(
    "text",
    ["broker", "core-whisper", "hall.local.", "küche.fritz.box", "192.0.2.7", "fe80::1%eth0"],
)
def test_a_name_or_an_address(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize("text", ["", "a..b", ".", 64 * "a", 64 * "ü", "a b", "a/b", "[::1]"])
def test_what_nobody_could_look_up(text: str) -> None:
    assert not is_host(text)
