"""Evidence of one segment: pooling, and noticing that the voice changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import make_window
from voiceguard.pipeline.segments import SegmentEvidence

if TYPE_CHECKING:
    from voiceguard.types import Embedding

MAX_SAMPLES = 64_000


def _direction(degrees: float) -> Embedding:
    radians = np.deg2rad(degrees)
    return np.array([np.cos(radians), np.sin(radians)], dtype=np.float32)


def test_without_windows_there_is_nothing_to_score() -> None:
    assert SegmentEvidence(0, MAX_SAMPLES).pooled() is None


def test_probes_are_never_pooled() -> None:
    """They overlap the windows: counting them would weigh some speech twice."""
    evidence = SegmentEvidence(0, MAX_SAMPLES)
    evidence.add(make_window(seconds=2.0), _direction(0))
    evidence.add(make_window(seconds=2.0, is_probe=True), _direction(90))
    pooled = evidence.pooled()
    assert pooled is not None
    assert pooled @ _direction(0) == pytest.approx(1.0, abs=1e-6)


def test_a_change_of_voice_begins_where_the_later_probe_does() -> None:
    evidence = SegmentEvidence(0, MAX_SAMPLES)
    evidence.add(make_window(seconds=2.0, is_probe=True), _direction(0))
    assert evidence.change_sample(max_cosine=0.5) is None
    evidence.add(make_window(first_sample=32_000, seconds=2.0, is_probe=True), _direction(10))
    assert evidence.change_sample(max_cosine=0.5) is None
    evidence.add(make_window(first_sample=64_000, seconds=2.0, is_probe=True), _direction(80))
    assert evidence.change_sample(max_cosine=0.5) == 64_000


def test_after_a_cut_only_the_first_voice_is_left() -> None:
    evidence = SegmentEvidence(0, MAX_SAMPLES)
    evidence.add(make_window(seconds=2.0), _direction(0))
    evidence.add(make_window(seconds=3.0), _direction(45))
    evidence.cut_back(32_000)
    pooled = evidence.pooled()
    assert pooled is not None
    assert pooled @ _direction(0) == pytest.approx(1.0, abs=1e-6)


def test_a_change_in_mid_probe_is_noticed_one_probe_later() -> None:
    """The mixed probe is like both voices; the next one is unlike the one before it."""
    evidence = SegmentEvidence(0, MAX_SAMPLES)
    for number, degrees in enumerate((0, 45, 90)):
        assert evidence.change_sample(max_cosine=0.6) is None
        probe = make_window(first_sample=32_000 * number, seconds=2.0, is_probe=True)
        evidence.add(probe, _direction(degrees))
    assert evidence.change_sample(max_cosine=0.6) == 32_000
