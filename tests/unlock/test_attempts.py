"""The lockout: what it counts, how long it lasts, and that nothing gets around it."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.voiceprints.failing_disk import killed_at
from voiceguard.unlock.attempts import OFF_AT, Attempts, Moment
from voiceguard.unlock.records import Records

ACTION = "front-door"
LOCKOUTS_S = [0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, math.inf]


def at(seconds: float, boot: str = "a") -> Moment:
    return Moment(boot, seconds)


def test_the_third_failure_locks_for_30_s_which_doubles_and_the_tenth_for_good() -> None:
    attempts = Attempts()
    seen = [attempts.wait_s(at(0))]
    for _ in range(OFF_AT + 1):
        attempts = attempts.failed(at(0))
        seen.append(attempts.wait_s(at(0)))
    assert seen == [*LOCKOUTS_S, math.inf]
    assert attempts.is_off
    assert attempts.wait_s(at(1e9)) == math.inf


def test_a_lockout_ends_to_the_second() -> None:
    attempts = Attempts(num_failures=2).failed(at(100))
    assert attempts.wait_s(at(129.5)) == 0.5
    assert not attempts.opened(at(129.5)).is_open
    assert attempts.opened(at(130)).is_open


def test_in_another_boot_a_lockout_begins_again() -> None:
    attempts = Attempts(num_failures=2).failed(at(100))
    again = attempts.opened(at(5000, "b"))
    assert not again.is_open
    assert again.wait_s(at(5029, "b")) == 1
    assert again.wait_s(at(5030, "b")) == 0


def test_a_clock_that_ran_backwards_gives_nothing_away() -> None:
    attempts = Attempts(num_failures=2).failed(at(100))
    assert attempts.wait_s(at(50)) == 30


def test_a_request_that_was_never_closed_counts() -> None:
    opened = Attempts().opened(at(0))
    assert opened.opened(at(1)).num_failures == 1
    assert opened.closed().opened(at(1)).num_failures == 0


@pytest.mark.parametrize("num_failures", [-1, 11])
def test_a_number_out_of_range_is_refused(num_failures: int) -> None:
    with pytest.raises(ValueError, match="num_failures must be"):
        Attempts(num_failures=num_failures)


class Burglar(RuleBasedStateMachine):
    """Tries, waits, kills the daemon at any step, reboots, and sets clocks.

    ``real_s`` is time as the burglar lives through it. What the burglar has really tried is counted
    here, and must never be more than the rule allows.
    """

    @initialize()
    def move_in(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.real_s = 0.0
        self.boot = 0
        self.booted_s = 0.0
        self.records = self._start()
        self.records.counters.create()
        self.num_tried = 0
        self.tried_s = -math.inf
        self.is_open = False

    def teardown(self) -> None:
        self.folder.cleanup()

    def _start(self) -> Records:
        return Records(Path(self.folder.name), self._now)

    def _now(self) -> Moment:
        return Moment(f"boot {self.boot}", self.real_s - self.booted_s)

    def _may_open(self) -> bool:
        return self.real_s - self.tried_s >= LOCKOUTS_S[min(self.num_tried, OFF_AT)]

    @precondition(lambda self: not self.is_open)
    @rule()
    def ask(self) -> None:
        self.is_open = self.records.open(ACTION).wait_s == 0
        assert not self.is_open or self._may_open()

    @precondition(lambda self: self.is_open)
    @rule()
    def try_in_vain(self) -> None:
        self._tried()
        self.records.fail(ACTION, {})
        self.is_open = False

    @precondition(lambda self: self.is_open)
    @rule(step=st.integers(0, 8))
    def try_and_kill(self, step: int) -> None:
        """It was heard and judged; the process dies at some step of noting it, or before."""
        self._tried()
        killed_at(step, lambda: self.records.fail(ACTION, {}))
        self.records, self.is_open = self._start(), False

    @precondition(lambda self: not self.is_open)
    @rule(step=st.integers(0, 8))
    def ask_and_kill(self, step: int) -> None:
        killed_at(step, lambda: self.records.open(ACTION))
        self.records = self._start()

    @precondition(lambda self: self.is_open)
    @rule()
    def give_up(self) -> None:
        self.records.close(ACTION)
        self.is_open = False

    @precondition(lambda self: self.is_open)
    @rule()
    def restart_while_open(self) -> None:
        self.records, self.is_open = self._start(), False

    @rule(seconds=st.sampled_from([0.5, 29.9, 30.0, 61.0, 600.0, 2000.0]))
    def wait(self, seconds: float) -> None:
        self.real_s += seconds

    @rule(takes_s=st.sampled_from([0.0, 5.0, 40.0]))
    def reboot(self, takes_s: float) -> None:
        self.real_s += takes_s
        self.boot += 1
        self.booted_s = self.real_s - 3.0
        self.records, self.is_open = self._start(), False

    @precondition(lambda self: self.is_open)
    @rule(is_killed=st.booleans())
    def the_owner_comes_home(self, is_killed: bool) -> None:  # noqa: FBT001
        if is_killed and killed_at(1, lambda: self.records.succeed(ACTION, self._sign)):
            self.records, self.is_open = self._start(), False
            return
        self.records.succeed(ACTION, self._sign)
        self.num_tried, self.is_open = 0, False

    @rule()
    def the_owner_resets(self) -> None:
        self.records.reset((ACTION,), by="owner")
        self.num_tried = 0

    def _sign(self, sequence: int, boot_id: str) -> dict[str, object]:
        return {"sequence": sequence, "boot_id": boot_id}

    def _tried(self) -> None:
        self.num_tried += 1
        self.tried_s = self.real_s

    @invariant()
    def what_is_noted_is_no_less_than_what_was_tried(self) -> None:
        if not hasattr(self, "records"):
            return
        attempts = self.records.counters.read().of(ACTION)
        assert attempts.num_failures + attempts.is_open >= min(self.num_tried, OFF_AT)


TestBurglar = Burglar.TestCase
TestBurglar.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
