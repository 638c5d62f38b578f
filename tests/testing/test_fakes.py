"""What ships for other people's tests does what it says, and needs no torch."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import voiceguard
from voiceguard.decisions.wire import decision_payload
from voiceguard.testing import FakeEncoder, fake_guard, make_decision, make_judgement, tone

if TYPE_CHECKING:
    from pathlib import Path


def test_the_docstring_is_true(tmp_path: Path) -> None:
    guard = fake_guard(tmp_path)
    guard.enroll("anna", [tone(440, 6.0, seed=take) for take in range(3)], consent=True)
    assert guard.verify("anna", tone(440, 3.0, seed=9)).outcome is voiceguard.Outcome.ACCEPTED
    assert guard.verify("anna", tone(1000, 3.0)).outcome is voiceguard.Outcome.REJECTED


def test_settings_count(tmp_path: Path) -> None:
    guard = fake_guard(tmp_path, policy={"p_fa": 0.001})
    guard.enroll("anna", [tone(440, 6.0, seed=take) for take in range(3)], consent=True)
    assert guard.verify("anna", tone(440, 3.0)).p_fa == 0.001


def test_an_encoder_counts_its_calls_and_fails_when_told_to() -> None:
    encoder = FakeEncoder()
    encoder.embed(tone(440, 1.0))
    assert encoder.num_calls == 1
    encoder.fails = True
    with pytest.raises(RuntimeError, match="broken"):
        encoder.embed(tone(440, 1.0))


def test_decisions_are_made_as_they_are_asked_for() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    said = make_judgement(outcome=voiceguard.Outcome.UNKNOWN, speaker=None, llr=-4.0)
    decision = make_decision(said, stream="hall", delivered_at=noon)
    assert (decision.outcome, decision.reason) == ("unknown", "below_threshold")
    payload = decision_payload(decision)
    assert (payload["stream"], payload["delivered_at"]) == ("hall", "2026-01-01T12:00:00.000Z")
    assert make_decision().speaker == "anna"


def test_nothing_of_it_imports_torch(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from voiceguard.testing import fake_guard, tone\n"
        f"guard = fake_guard(pathlib.Path({str(tmp_path)!r}))\n"
        "guard.enroll('anna', [tone(440, 6.0, seed=s) for s in range(3)], consent=True)\n"
        "guard.stream().feed(tone(440, 3.0), 16000)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
