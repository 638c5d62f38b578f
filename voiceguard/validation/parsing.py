"""The one door for JSON from outside: files, headers, messages, payloads.

In: bytes or text that anybody may have written. Out: plain values of bounded size and depth, whose
numbers are finite, whose whole numbers fit 64 bits and whose texts are Unicode; or a ValueError
that says what is wrong. No other exception comes out.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Never

from voiceguard.validation.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 16 << 20
"""Far above every document of ours; who knows better says so."""
MAX_DEPTH = 32
"""Of arrays and objects in each other; ours have 6."""
_MAX_DIGITS = 19
"""Of a whole number: those of 64 bits."""


def parse_json(raw: bytes | str, *, max_bytes: int = MAX_BYTES) -> Any:  # noqa: ANN401 - any JSON value
    """Reads a JSON document.

    Args:
        raw: The document; bytes must be UTF-8, with or without a byte order mark.
        max_bytes: A larger document is refused before it is read.

    Raises:
        ValueError: It is too large, no JSON, nested deeper than MAX_DEPTH, or holds a number or a
            text that nothing can be done with.
    """
    if len(raw) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes} bytes")
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
        value = json.loads(text, parse_int=_whole, parse_float=_number, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from error
    _check(value)
    return value


def parse_json_object(raw: bytes | str, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Reads a JSON document that must be one object; raises as ``parse_json``."""
    value = parse_json(raw, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise ValueError("it must be one JSON object")  # noqa: TRY004 - of a document, not a caller
    return value


def read_json_object(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Reads a file that must be one JSON object; no more of it than ``max_bytes``.

    Raises:
        ValueError: As ``parse_json``.
        OSError: The file cannot be read.
    """
    return parse_json_object(read_regular(path, max_bytes + 1), max_bytes=max_bytes)


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_DIGITS:
        raise ValueError(f"a number has more than {_MAX_DIGITS} digits")
    return int(digits)


def _number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"the number {text[:20]} is out of range")
    return number


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not a number")


def _check(document: object) -> None:
    """Depth and texts, without recursion: a document must not decide how deep we call."""
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        inner: list[object] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, dict):
                inner += [*value, *value.values()]
        if not inner:
            return
        level = inner
    raise ValueError(_TOO_DEEP)


def _check_text(text: str) -> None:
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: whoever prints or stores it would fail
        raise ValueError("a text in it is not Unicode") from None


_TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"
