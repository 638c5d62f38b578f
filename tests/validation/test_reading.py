"""Plain data to strict dataclasses: nothing unknown, missing or of another kind, in our words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest

from voiceguard.validation.reading import ReadBy, plain, read


class _Colour(StrEnum):
    RED = "red"


def _doubled(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError("nothing to double")  # noqa: TRY004
    return 2 * value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    size: int
    rates: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("size must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    parts: tuple[_Part, ...]
    pair: tuple[float, float] = (0.0, 1.0)
    colour: _Colour = _Colour.RED
    kind: Literal["a", "b"] = "a"
    flag: bool | None = None
    double: Annotated[int, ReadBy(_doubled)] = 0


def test_what_plain_makes_read_takes() -> None:
    whole = _Whole(parts=(_Part(size=1, rates=(0.5, 1.0)),), flag=True)
    values = plain(whole)
    assert values["parts"] == [{"size": 1, "rates": [0.5, 1.0]}]
    assert read(_Whole, values) == whole
    assert read(_Whole, {"parts": [], "double": 4}).double == 8


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "parts is missing"),
        ([], "it must be a table, not []"),
        ({"parts": [], "colours": 1}, "colours is unknown; known are parts, pair"),
        ({"parts": 5}, "parts must be a list, not 5"),
        ({"parts": [5]}, "parts.0 must be a table, not 5"),
        ({"parts": [{}]}, "parts.0.size is missing"),
        ({"parts": [{"size": "1"}]}, "parts.0.size must be a whole number, not '1'"),
        ({"parts": [{"size": 1.5}]}, "parts.0.size must be a whole number, not 1.5"),
        ({"parts": [{"size": True}]}, "parts.0.size must be a whole number, not True"),
        ({"parts": [{"size": 0}]}, "parts.0: size must be at least 1"),
        ({"parts": [{"size": 1, "rates": ["x"]}]}, "parts.0.rates.0 must be a number, not 'x'"),
        ({"parts": [], "pair": [1, 2, 3]}, "pair must have 2 entries"),
        ({"parts": [], "colour": "blue"}, "colour must be 'red', not 'blue'"),
        ({"parts": [], "kind": "c"}, "kind must be 'a' or 'b', not 'c'"),
        ({"parts": [], "flag": 1}, "flag must be true or false, not 1"),
        ({"parts": [], "double": "x"}, "double: nothing to double"),
        ({"parts": [], "flag": object()}, "it holds something else than plain values"),
        ({"parts": [], "pair": [1, float("nan")]}, "it holds something else than plain values"),
    ],
)
def test_a_fault_is_said_in_our_words(values: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=r"\w") as caught:
        read(_Whole, values)
    assert said in str(caught.value)
    assert "pydantic" not in str(caught.value)
    assert "nput should" not in str(caught.value)
