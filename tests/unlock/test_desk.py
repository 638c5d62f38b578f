"""The daemon's side: no request, no envelope; one attempt per request; nothing on a full disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import FakeClock, altered, make_decision
from tests.voiceprints.failing_disk import fail, stepping
from voiceguard.errors import AuditError, StateError
from voiceguard.mqtt.topics import Topics
from voiceguard.paths import unlock_counters_file
from voiceguard.types import Outcome, Reason
from voiceguard.unlock.answering.desk import GRACE_S, Desk
from voiceguard.unlock.answering.pending import Home
from voiceguard.unlock.attempts import Moment
from voiceguard.unlock.config import UnlockAction, UnlockConfig
from voiceguard.unlock.counters import CounterFile
from voiceguard.unlock.keys import public_text
from voiceguard.unlock.records import Records
from voiceguard.unlock.requests import request_payload
from voiceguard.unlock.setup import make_key
from voiceguard.unlock.verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from voiceguard.decisions.result import Decision
    from voiceguard.scoring.policy import Verdict
    from voiceguard.unlock.envelope import Envelope
    from voiceguard.unlock.hearing import Hearing

ALONE: Any = {"level": "voice", "i_accept_the_risk": True}
DOOR = UnlockAction(speakers=("anna",), streams=("kitchen",), **ALONE)
GARAGE = UnlockAction(speakers=("anna", "ben"), **ALONE)
CONFIG = UnlockConfig(actions={"front-door": DOOR, "garage": GARAGE})
TOPICS = Topics("voiceguard", "hall", "homeassistant")


class House:
    """A daemon around a desk, and a lock."""

    def __init__(
        self, state: Path, config: UnlockConfig = CONFIG, hearing: Hearing | None = None
    ) -> None:
        self.clock = FakeClock()
        self.is_listening = True
        self.enrolled = {"anna", "ben"}
        self.sent: list[tuple[str, bytes]] = []
        self.judged_at: list[float] = []
        key = make_key(state)
        self.records = Records(state, lambda: Moment("ab" * 16, self.clock.now_s))
        self.lock = Verifier(
            public_text(key), "front-door", now_ms=lambda: int(self.clock.now_s * 1000)
        )
        self.executor = ThreadPoolExecutor(1)
        self.desk = Desk(
            config,
            topics=TOPICS,
            key=key,
            records=self.records,
            policy={"actions": {"front-door": {}}},
            pre_roll_s=0.2,
            executor=self.executor,
            clock=self.clock,
            home=Home(
                is_listening=lambda: self.is_listening,
                enrolled=lambda: self.enrolled,
                judge_for=self._judge_for,
                send=lambda topic, payload, _: self.sent.append((topic, payload)),
            ),
            hearing=hearing,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[House]:
        """The desk at work."""
        task = asyncio.create_task(self.desk.run())
        await self.settle()
        yield self
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        self.executor.shutdown()

    def _judge_for(self, decision: Decision, action: str, p_fa: float) -> Verdict:
        assert action in self.desk._config.actions
        self.judged_at.append(p_fa)
        return decision.judgement.verdict

    async def settle(self) -> None:
        """Until the desk has nothing to do."""
        for _ in range(5000):
            await asyncio.sleep(0.002)
            if not self.desk.is_busy:
                return
        raise AssertionError("the desk never rests")

    async def until_told(self, state: str) -> None:
        for _ in range(500):
            await asyncio.sleep(0.01)
            if self.notices()[-1]["state"] == state:
                return await self.settle()
        raise AssertionError(f"not told: {state}")

    async def ask(self, action: str = "front-door") -> str:
        nonce = self.lock.begin()
        self.desk.take(action, request_payload(nonce))
        await self.settle()
        return nonce

    async def say(self, began_ago_s: float = 3.0, ended_ago_s: float = 0.6, **figures: Any) -> None:  # noqa: ANN401
        """Somebody has spoken, and it was decided just now."""
        now = self.clock.utc()
        self.desk.publish(
            altered(
                make_decision(),
                started_at=now - timedelta(seconds=began_ago_s),
                ended_at=now - timedelta(seconds=ended_ago_s),
                decided_at=now,
                **figures,
            )
        )
        await self.settle()

    def notices(self, action: str = "front-door") -> list[dict[str, Any]]:
        topic = TOPICS.unlock_notice(action)
        return [json.loads(payload) for where, payload in self.sent if where == topic]

    def envelopes(self, action: str = "front-door") -> list[bytes]:
        topic = TOPICS.unlock_envelope(action)
        return [payload for where, payload in self.sent if where == topic]

    def opened(self) -> Envelope:
        (message,) = self.envelopes()
        return self.lock.check(message)

    def events(self) -> list[str]:
        return [entry["event"] for entry, _ in self.records.audit.entries()]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path).running() as made:
        yield made


STRANGER: dict[str, Any] = {
    "outcome": Outcome.UNKNOWN,
    "reason": Reason.BELOW_THRESHOLD,
    "speaker": None,
}


async def test_the_speaker_opens_and_the_lock_believes_it(house: House) -> None:
    await house.ask()
    assert house.notices()[-1]["state"] == "opened"
    house.clock.now_s += 4
    await house.say()
    envelope = house.opened()
    assert (envelope.speaker, envelope.stream, envelope.node) == ("anna", "kitchen", "hall")
    assert envelope.waited_ms == 4000
    assert envelope.lifetime_ms == 5000
    assert house.judged_at == [DOOR.p_fa]
    assert house.events() == ["key_made", "policy_changed", "envelope"]


async def test_without_a_request_nothing_is_signed_or_counted(house: House) -> None:
    await house.say()
    await house.say(**STRANGER)
    assert not house.sent
    assert house.events() == ["key_made", "policy_changed"]


async def test_one_request_is_one_attempt(house: House) -> None:
    await house.ask()
    house.clock.now_s += 4
    await house.say(**STRANGER)
    assert house.notices()[-1]["state"] == "failed"
    await house.say()
    assert not house.envelopes()


async def test_what_began_before_the_request_is_no_answer(house: House) -> None:
    """A segment's beginning, before its first word, does not count as such."""
    await house.ask()
    house.clock.now_s += 2
    await house.say(began_ago_s=2.3)
    assert not house.envelopes()
    await house.say(began_ago_s=2.1)
    assert house.envelopes()


async def test_what_ended_too_late_is_none_either(house: House) -> None:
    await house.ask()
    house.clock.now_s += 22
    await house.say(began_ago_s=5, ended_ago_s=1.9)
    assert not house.envelopes()
    await house.say(began_ago_s=5, ended_ago_s=2.1)
    assert house.envelopes()


async def test_silence_costs_nothing(house: House) -> None:
    for _ in range(12):
        await house.ask()
        house.clock.now_s += 20 + GRACE_S + 0.1
        await house.until_told("expired")
    assert house.records.counters.read().of("front-door").num_failures == 0


@pytest.mark.parametrize("reason", [Reason.TOO_SHORT, Reason.TOO_NOISY, Reason.AUDIO_LOST])
async def test_what_could_not_be_judged_is_no_attempt(house: House, reason: Reason) -> None:
    await house.ask()
    house.clock.now_s += 4
    await house.say(outcome=Outcome.INCONCLUSIVE, reason=reason, speaker=None)
    told = house.notices()[-1]
    assert (told["state"], told["reason"]) == ("unclear", reason.value)
    await house.say()
    assert house.opened()


@pytest.mark.parametrize(
    "figures",
    [
        STRANGER,
        {"speaker": "ben"},  # enrolled, and not for this action
        {"outcome": Outcome.INCONCLUSIVE, "reason": Reason.BETWEEN_THRESHOLDS, "speaker": None},
        {"outcome": Outcome.INCONCLUSIVE, "reason": Reason.RUNNER_UP_TOO_CLOSE, "speaker": None},
    ],
)
async def test_any_other_voice_is_a_failure(house: House, figures: dict[str, Any]) -> None:
    await house.ask()
    house.clock.now_s += 4
    await house.say(**figures)
    assert house.notices()[-1]["failures"] == 1
    assert not house.envelopes()


async def test_another_microphone_and_a_provisional_accept_do_not_count(house: House) -> None:
    await house.ask()
    house.clock.now_s += 4
    await house.say(stream="attic")
    await house.say(is_final=False)
    assert not house.envelopes()
    assert house.notices()[-1]["state"] == "opened"


async def test_three_failures_lock_it_and_the_lock_is_told_for_how_long(house: House) -> None:
    for _ in range(3):
        await house.ask()
        house.clock.now_s += 4
        await house.say(**STRANGER)
    assert house.notices()[-1]["seconds"] == 30
    await house.ask()
    assert house.notices()[-1]["reason"] == "locked_out"
    house.clock.now_s += 4
    await house.say()
    assert not house.envelopes()
    house.clock.now_s += 27
    await house.ask()
    house.clock.now_s += 4
    await house.say()
    assert house.opened()
    assert house.events().count("locked_out") == 1


async def test_ten_failures_turn_it_off_until_a_local_reset(house: House) -> None:
    for _ in range(10):
        house.clock.now_s += 3000
        await house.ask()
        house.clock.now_s += 4
        await house.say(**STRANGER)
    assert house.notices()[-1]["seconds"] is None
    house.clock.now_s += 1e6
    await house.ask()
    assert house.notices()[-1]["reason"] == "off"
    house.records.reset(("front-door",), by="root")
    await house.ask()
    assert house.notices()[-1]["state"] == "opened"


async def test_a_second_request_waits_for_the_first(house: House) -> None:
    await house.ask()
    first = house.lock
    house.desk.take("front-door", request_payload("ab" * 32))
    assert house.notices()[-1]["reason"] == "busy"
    house.clock.now_s += 4
    await house.say()
    assert first.check(house.envelopes()[0])


async def test_each_action_has_its_own_request(house: House) -> None:
    await house.ask("garage")
    house.clock.now_s += 4
    (score,) = make_decision().scores
    await house.say(speaker="ben", scores=(replace(score, speaker="ben"),))
    assert house.envelopes("garage")
    assert not house.envelopes()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"{}",
        b'{"version":1}',
        b'{"version":1,"nonce":"ab"}',
        b'{"version":2,"nonce":"' + b"ab" * 32 + b'"}',
        b'{"version":1,"nonce":"' + b"ab" * 33 + b'"}',
        b'{"version":1,"nonce":"' + b"AB" * 32 + b'"}',
        b'{"version":1,"nonce":"' + b"ab" * 32 + b'","x":1}',
        b"[" * 200,
        b"x" * 1_000_000,
    ],
    ids=lambda payload: payload[:30],
)
async def test_what_is_no_request_is_passed_over(house: House, payload: bytes) -> None:
    house.desk.take("front-door", payload)
    house.desk.take("no-such-action", payload)
    await house.settle()
    assert not house.sent


async def test_nobody_listening_or_a_speaker_unknown_is_told(house: House) -> None:
    house.is_listening = False
    await house.ask()
    assert house.notices()[-1]["reason"] == "unavailable"
    house.is_listening, house.enrolled = True, {"ben"}
    await house.ask()
    assert house.notices()[-1]["reason"] == "unknown_speaker"


async def test_on_a_full_disk_nothing_opens(house: House) -> None:
    """At whatever step it fails: what is not on disk is not sent."""
    num_refused = 0
    for step in range(40):
        house.records.reset(("front-door",), by="root")
        house.sent.clear()
        await house.ask()
        house.clock.now_s += 4
        before = house.records.counters.read().sequence
        with stepping(step, fail) as steps:
            await house.say()
        noted = house.records.counters.read().sequence
        if house.envelopes():
            assert noted == before + 1
            assert house.events()[-1] == "envelope"
        else:
            assert house.notices()[-1]["reason"] == "storage"
            assert noted == before
            num_refused += 1
        if steps.num_taken <= step:
            break
    assert house.envelopes()
    assert num_refused > 5


async def test_where_a_request_cannot_be_charged_it_is_not_opened(house: House) -> None:
    for step in range(4):
        with stepping(step, fail):
            await house.ask()
        assert house.notices()[-1]["reason"] == "storage"
        house.clock.now_s += 4
        await house.say()
        assert not house.envelopes()


async def test_damaged_counters_answer_nobody_until_they_are_reset(house: House) -> None:
    house.records.counters.path.write_text('{"format":1,"actions":{"front-door":{}}')
    await house.ask()
    assert house.notices()[-1]["reason"] == "storage"
    house.records.counters.path.unlink()
    await house.ask()
    assert house.notices()[-1]["reason"] == "storage"
    house.records.begin_anew(by="root")
    await house.ask()
    assert house.notices()[-1]["state"] == "opened"


async def test_a_reset_that_cannot_be_noted_forgets_nothing(house: House) -> None:
    for _ in range(3):
        await house.ask()
        house.clock.now_s += 4
        await house.say(**STRANGER)
    log = house.records.audit.path
    log.rename(log.with_suffix(".elsewhere"))
    log.symlink_to(log.with_suffix(".elsewhere"))  # not followed: nothing can be noted
    resets = (house.records.begin_anew, partial(house.records.reset, ("front-door",)))
    for reset in resets:
        with pytest.raises(AuditError, match="it is a symbolic link"):
            reset(by="root")
        assert house.records.counters.read().of("front-door").num_failures == 3


async def test_the_sequence_rises_over_restarts_and_losses(house: House) -> None:
    sequences = []
    for _ in range(3):
        await house.ask()
        house.clock.now_s += 4
        await house.say()
        sequences.append(house.opened().sequence)
        house.sent.clear()
        house.records.begin_anew(by="root")
    assert sequences == sorted(set(sequences))


async def test_a_changed_policy_is_noted_once(house: House) -> None:
    house.records.note_policy({"actions": {"front-door": {}}})
    assert house.records.note_policy({"actions": {}})
    assert not house.records.note_policy({"actions": {}})
    assert house.events() == ["key_made", "policy_changed", "policy_changed"]


async def test_whom_people_s_rules_refuse_it_does_not_open_to_and_the_log_names_the_rule(
    house: House,
) -> None:
    """At the wrong hour it is a failed attempt; at the right one the envelope's entry says why."""
    await house.ask()
    house.clock.now_s += 4
    await house.say(
        outcome=Outcome.REJECTED, reason=Reason.NOT_ALLOWED, speaker=None, rule="by-day"
    )
    assert house.notices()[-1]["failures"] == 1
    assert not house.envelopes()
    await house.ask()
    house.clock.now_s += 4
    await house.say(rule="by-day")
    assert house.opened().speaker == "anna"
    entries = [entry for entry, _ in house.records.audit.entries()]
    about = {entry["event"]: entry.get("rule") for entry in entries}
    assert (about["attempt_failed"], about["envelope"]) == ("by-day", "by-day")
    assert next(e for e in entries if e["event"] == "attempt_failed")["why"] == "not_allowed"


def test_counters_that_another_process_holds_are_waited_for_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(tmp_path)
    counters = CounterFile(unlock_counters_file(tmp_path))
    monkeypatch.setattr("voiceguard.unlock.counters._LOCK_TIMEOUT_S", 0.05)
    with (
        counters.change(),
        pytest.raises(StateError, match="another process has held the lock") as caught,
        counters.change(),
    ):
        pass
    assert "fuser" in caught.value.hint
