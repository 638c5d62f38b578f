"""What may be written for a source, and what comes of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceguard.audio.config import AudioConfig
from voiceguard.audio.files import AudioFile
from voiceguard.audio.microphone import Microphone
from voiceguard.audio.sources import open_source, parse_source, parse_sources
from voiceguard.audio.stdin import StandardInput
from voiceguard.clock import SystemClock
from voiceguard.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "name", "kind", "target"),
    [
        ("device", "microphone", "device", ""),
        ("device:", "microphone", "device", ""),
        ("device:3", "3", "device", "3"),
        ("device:USB Audio: #1 (hw:1,0)", "usb-audio-1-hw-1-0", "device", "USB Audio: #1 (hw:1,0)"),
        ("kitchen=device:USB=Mic", "kitchen", "device", "USB=Mic"),
        ("file:/a/b=c.d/Anna Two.m4a", "anna-two", "file", "/a/b=c.d/Anna Two.m4a"),
        ("x_1=file:a.wav", "x_1", "file", "a.wav"),
        ("file:日本.wav", "file", "file", "日本.wav"),
        ("stdin", "stdin", "stdin", ""),
        ("pipe=stdin", "pipe", "stdin", ""),
    ],
)
def test_a_source_has_a_kind_a_target_and_a_name_that_fits_a_topic(
    text: str, name: str, kind: str, target: str
) -> None:
    spec = parse_source(text)
    assert (spec.name, spec.kind, spec.target) == (name, kind, target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file",
        "file:",
        "stdin:x",
        "mic",
        "Kitchen=device",
        "a/b=stdin",
        "=stdin",
        "#=device",
        "x" * 33 + "=stdin",
        "http://example.org/a.wav",
        "DEVICE",
    ],
)
def test_anything_else_is_a_usage_error_that_shows_how(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_source(text)
    assert "device:NAME" in caught.value.hint


def test_a_bare_path_is_told_its_prefix(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.touch()
    with pytest.raises(UsageError) as caught:
        parse_source(str(path))
    assert f"file:{path}" in caught.value.hint


def test_derived_names_that_collide_are_numbered_around_the_given_ones() -> None:
    specs = parse_sources(["file:x/a.wav", "file:y/a.wav", "a-2=device", "file:a.mp3"])
    assert [spec.name for spec in specs] == ["a", "a-3", "a-2", "a-4"]


@given(st.lists(st.text(min_size=1, max_size=50), min_size=1, max_size=6))
def test_names_are_always_unique_and_well_formed(paths: list[str]) -> None:
    texts = [f"file:{path}" for path in paths if path.strip()]
    names = [spec.name for spec in parse_sources(texts)]
    assert len(set(names)) == len(names)
    for name in names:
        assert 1 <= len(name) <= 32
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")


def test_a_name_given_twice_and_standard_input_twice_are_usage_errors() -> None:
    with pytest.raises(UsageError, match='"a"'):
        parse_sources(["a=device", "a=file:x.wav"])
    with pytest.raises(UsageError, match="standard input"):
        parse_sources(["stdin", "b=stdin"])


def test_opening_touches_nothing_yet() -> None:
    with ThreadPoolExecutor(1) as executor:
        opened = [
            open_source(spec, AudioConfig(), executor, clock=SystemClock())
            for spec in parse_sources(["device:none such", "file:/none/such.wav", "stdin"])
        ]
    assert [type(source) for source in opened] == [Microphone, AudioFile, StandardInput]
    assert [source.is_live for source in opened] == [True, False, False]
    for source in opened:
        counts = source.statistics()
        assert counts.samples_captured == counts.samples_delivered == counts.samples_lost == 0
