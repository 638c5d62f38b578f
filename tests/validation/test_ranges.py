"""Limits on the fields of settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import pytest

from voiceguard.validation.ranges import Between, SettingsTable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table(SettingsTable):
    hop_s: Annotated[float, Between(0.1, 5)] = 0.5
    rate_hz: Annotated[int, Between(4000, 1_000_000, or_zero=True)] = 0
    p_fa: Annotated[float, Between(0, 0.05, is_low_excluded=True)] = 0.01
    name: str = ""


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hop_s": 0.05}, "hop_s must be between 0.1 and 5, not 0.05"),
        ({"hop_s": math.nan}, "hop_s must be between 0.1 and 5, not nan"),
        ({"rate_hz": 1}, "rate_hz must be between 4000 and 1000000 or 0, not 1"),
        ({"p_fa": 0.0}, "p_fa must be above 0 and at most 0.05, not 0.0"),
        ({"p_fa": 0.5}, "p_fa must be above 0 and at most 0.05, not 0.5"),
    ],
)
def test_what_is_outside_is_named_with_its_limits(values: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        _Table(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values", [{"hop_s": 0.1}, {"hop_s": 5}, {"rate_hz": 0}, {"rate_hz": 4000}, {"p_fa": 0.05}]
)
def test_both_ends_are_inside(values: dict[str, float]) -> None:
    _Table(**values)  # type: ignore[arg-type]
