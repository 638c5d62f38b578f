"""Options of a foreign configuration: each is asked for, or named in an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voiceguard.encoder.foreign.safe.options import LARGEST, Options

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = {
    "size": 7,
    "sizes": [1, 2],
    "gain": 0.5,
    "on": True,
    "kind": "a",
    "parts": [{"x": 1}],
    "none": None,
}


def test_values_are_given_as_what_they_are_asked_for() -> None:
    options = Options("part", VALUES)
    assert options.whole("size") == 7
    assert options.whole("none", 3) == 3
    assert options.whole("absent", 4) == 4
    assert options.wholes("sizes") == (1, 2)
    assert options.wholes("size") == (7,)
    assert options.number("gain", 1.0) == 0.5
    assert options.number("size", 1.0) == 7.0
    assert options.number("none", 1.0) == 1.0
    assert options.number("none", 1.0, null=0.0) == 0.0
    assert options.flag("on") is True
    assert options.flag("absent", default=False) is False
    assert options.text("kind") == "a"
    (part,) = options.sections("parts")
    assert part.whole("x") == 1
    options.only("absent", "anything")
    options.finish()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda o: o.whole("gain"), r"part\.gain must be a whole number"),
        (lambda o: o.whole("on"), r"part\.on must be a whole number"),
        (lambda o: o.whole("size", least=8), "from 8 to"),
        (lambda o: o.whole("absent"), r"no part\.absent"),
        (lambda o: o.whole("none"), r"no part\.none"),
        (lambda o: o.wholes("kind"), r"part\.kind must be a list"),
        (lambda o: o.wholes("parts"), r"part\.parts must be a whole number"),
        (lambda o: o.number("kind", 1.0), r"part\.kind must be a number"),
        (lambda o: o.number("on", 1.0), r"part\.on must be a number"),
        (lambda o: o.flag("size"), r"part\.size must be true or false"),
        (lambda o: o.text("size"), r"part\.size must be a text"),
        (lambda o: o.sections("kind"), r"part\.kind must be a list"),
        (lambda o: o.sections("sizes"), r"no section part\.sizes\[0\]"),
        (lambda o: o.only("size", 8), r"part\.size is 7; voiceguard computes 8 only"),
        (lambda o: o.only("none", True), r"part\.none is None"),
        (lambda o: o.finish(), r"part\.gain is an option that voiceguard does not know"),
    ],
)
def test_anything_else_is_named(ask: Callable[[Options], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask(Options("part", VALUES))


@pytest.mark.parametrize("value", [0, -1, LARGEST + 1, 10**30])
def test_sizes_have_limits(value: int) -> None:
    with pytest.raises(ValueError, match="whole number from 1 to 65536"):
        Options("part", {"size": value}).whole("size")


def test_read_literally_a_null_is_no_default_and_a_number_no_list() -> None:
    options = Options("part", VALUES, largest=6, literal=True)
    with pytest.raises(ValueError, match="not None"):
        options.whole("none", 3)
    assert options.number("none", 1.0, null=0.0) == 0.0
    with pytest.raises(ValueError, match="must be a list of 1 to 1000"):
        options.wholes("size")
    with pytest.raises(ValueError, match="must be a list of 1 to 1 "):
        options.wholes("sizes", most=1)
    with pytest.raises(ValueError, match="from 1 to 6, not 7"):
        options.whole("size")
    assert options.wholes("absent", (1, 2)) == (1, 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ValueError, match="must be a number"):
        Options("part", {"gain": value}).number("gain", 1.0)
