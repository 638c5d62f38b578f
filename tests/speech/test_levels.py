"""What is no number, wherever audio comes in; levels themselves: test_gate.py."""

from __future__ import annotations

import numpy as np

from voiceguard.speech.levels import sanitise


def test_what_is_not_a_number_becomes_zero_and_is_counted() -> None:
    bad = np.array([0.5, np.nan, np.inf, -np.inf, -0.25], dtype=np.float32)
    clean, num_replaced = sanitise(bad)
    np.testing.assert_array_equal(clean, [0.5, 0, 0, 0, -0.25])
    assert clean.dtype == np.float32
    assert num_replaced == 3
    same, none_replaced = sanitise(clean)
    assert same is clean
    assert none_replaced == 0


def test_numbers_too_large_to_have_a_level_are_cut_off() -> None:
    """They are finite, but their power is not."""
    clean, num_replaced = sanitise(np.array([1e30, -0.5, -1e30], dtype=np.float32))
    np.testing.assert_array_equal(clean, [1, -0.5, -1])
    assert num_replaced == 0
