"""The one door for JSON from outside: whatever comes, a value or a ValueError."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceguard.validation.parsing import (
    MAX_DEPTH,
    parse_json,
    parse_json_object,
    read_json_object,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[" * 100_000, "nested deeper"),
        (b"[" * 40 + b"]" * 40, "nested deeper"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested deeper"),
        (b"1e400", "out of range"),
        (b"-1e400", "out of range"),
        (b"NaN", "NaN is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b"9" * 5000, "more than 19 digits"),
        (b"\xff\xfe", "not UTF-8"),
        (b'"\xe9"', "not UTF-8"),
        (rb'"\ud800"', "not Unicode"),
        (rb'{"\ud800": 1}', "not Unicode"),
        (b"", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'"' + b"a" * 200 + b'"', "larger than 100 bytes"),
    ],
)
def test_what_nothing_can_be_done_with_is_refused(raw: bytes, said: str) -> None:
    max_bytes = 100 if "larger" in said else 1_000_000
    with pytest.raises(ValueError, match=said):
        parse_json(raw, max_bytes=max_bytes)


def test_ordinary_documents_pass() -> None:
    document = {"a": [1, -2.5, None, True, "é"], "b": {"c": 2**62}}
    assert parse_json(json.dumps(document, ensure_ascii=False).encode()) == document
    assert parse_json("\ufeff[]".encode()) == []  # as some editors write it
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_other_exception_comes_out(raw: bytes | str) -> None:
    try:
        parse_json(raw)
    except ValueError:
        return


def test_an_object_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be one JSON object"):
        parse_json_object("[1]")
    path = tmp_path / "large.json"
    path.write_bytes(b'{"a": "' + b"b" * 1000 + b'"}')
    with pytest.raises(ValueError, match="larger than 500 bytes"):
        read_json_object(path, max_bytes=500)
    assert read_json_object(path) == {"a": "b" * 1000}
