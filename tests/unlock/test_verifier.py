"""What a lock takes, and that it takes nothing else."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unlock.vectors import ENVELOPE, FILE, KEY, NONCE, document
from voiceguard.errors import EnvelopeError
from voiceguard.unlock.envelope import MAX_BYTES, Envelope, check_nonce, seal
from voiceguard.unlock.keys import public_text
from voiceguard.unlock.verifier import MAX_REQUEST_MS, Verifier

PUBLIC = public_text(KEY)
NUM_FORGERIES = 2000
"""Here; tests/campaign tries a hundred thousand."""


class Stopwatch:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.ms = 5_000_000

    def __call__(self) -> int:
        return self.ms


def a_lock(node: str | None = None, last_sequence: int = -1) -> tuple[Verifier, Stopwatch]:
    clock = Stopwatch()
    lock = Verifier(PUBLIC, "front-door", node=node, last_sequence=last_sequence, now_ms=clock)
    return lock, clock


def answer(nonce: str, **changes: Any) -> bytes:  # noqa: ANN401 - any field's
    return seal(replace(ENVELOPE, nonce=nonce, **changes), KEY)


def opens(lock: Verifier, message: bytes) -> bool:
    try:
        lock.check(message)
    except EnvelopeError:
        return False
    return True


def test_an_answer_to_the_own_request_opens_once() -> None:
    lock, clock = a_lock()
    message = answer(lock.begin())
    clock.ms += 3300
    assert lock.check(message).speaker == "anna"
    with pytest.raises(EnvelopeError, match="no open request"):
        lock.check(message)


def test_nothing_opens_without_a_request_or_after_it_was_given_up() -> None:
    lock, clock = a_lock()
    with pytest.raises(EnvelopeError, match="no open request"):
        lock.check(answer(NONCE))
    nonce = lock.begin()
    clock.ms += 3300
    lock.cancel()
    with pytest.raises(EnvelopeError, match="no open request"):
        lock.check(answer(nonce))


def test_rubbish_leaves_the_request_open() -> None:
    lock, clock = a_lock()
    nonce = lock.begin()
    clock.ms += 3300
    for rubbish in (b"", b"x" * 500, b"x" * 1_000_000, answer("ab" * 32)):
        with pytest.raises(EnvelopeError):
            lock.check(rubbish)
    assert lock.check(answer(nonce))


def test_a_new_request_takes_the_place_of_the_last() -> None:
    lock, clock = a_lock()
    first, second = lock.begin(), lock.begin()
    clock.ms += 3300
    with pytest.raises(EnvelopeError, match="no open request"):
        lock.check(answer(first))
    assert lock.check(answer(second))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"action": "garage"}, "for the action 'garage'"),
        ({"node": "attic"}, "of the daemon 'attic'"),
        ({"waited_ms": 3400}, "longer than the request"),
        ({"waited_ms": 0, "expires_at_ms": ENVELOPE.issued_at_ms + 3000}, "expired: 3300 ms"),
    ],
)
def test_what_is_not_for_this_request_is_refused_by_name(changes: dict[str, Any], why: str) -> None:
    lock, clock = a_lock(node="hall")
    message = answer(lock.begin(), **changes)
    clock.ms += 3300
    with pytest.raises(EnvelopeError, match=why):
        lock.check(message)


def test_an_answer_grows_old_by_the_locks_own_stopwatch() -> None:
    """Held back by a broker, or by a machine that slept: the wall clock is not asked."""
    lock, clock = a_lock()
    nonce = lock.begin()
    clock.ms += 3200 + 5001
    with pytest.raises(EnvelopeError, match="expired"):
        lock.check(answer(nonce))
    clock.ms += MAX_REQUEST_MS
    with pytest.raises(EnvelopeError, match="older than a minute"):
        lock.check(answer(nonce, waited_ms=60_000))


def test_a_sequence_that_does_not_rise_is_an_old_copy_of_the_daemon() -> None:
    lock, clock = a_lock(last_sequence=ENVELOPE.sequence)
    nonce = lock.begin()
    clock.ms += 3300
    with pytest.raises(EnvelopeError, match="old copy"):
        lock.check(answer(nonce))
    assert lock.check(answer(nonce, sequence=ENVELOPE.sequence + 1))


def test_no_forgery_opens() -> None:
    """Mutated, truncated, extended, spliced, reordered, of another key or request."""
    rng = random.Random(15)
    lock, clock = a_lock()
    nonce = lock.begin()
    clock.ms += 3300
    right = answer(nonce)
    for number in range(NUM_FORGERIES):
        forged = forge(right, rng)
        assert not opens(lock, forged), f"forgery {number}: {forged.hex()}"
    assert lock.check(right)


def forge(right: bytes, rng: random.Random) -> bytes:
    """Something else than the right message."""
    message = bytearray(right)
    match rng.randrange(6):
        case 0:
            for _ in range(rng.randrange(1, 4)):
                message[rng.randrange(len(message))] ^= 1 << rng.randrange(8)
        case 1:
            del message[rng.randrange(len(message)) :]
        case 2:
            at = rng.randrange(len(message) + 1)
            message[at:at] = rng.randbytes(rng.randrange(1, 40))
        case 3:
            start, end = sorted(rng.sample(range(len(message)), 2))
            message[start:end] = message[start:end][::-1]
        case 4:
            start = rng.randrange(len(message))
            message = message[start:] + message[:start]
        case _:
            message = bytearray(rng.randbytes(rng.randrange(MAX_BYTES + 10)))
    return bytes(message) if message != right else right[:-1]


@pytest.mark.parametrize("case", document()["cases"], ids=lambda case: str(case["what"]))
def test_the_vectors_hold(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    stated = json.loads(FILE.read_text(encoding="utf-8"))
    assert stated == document(), "run: python -m tests.unlock.vectors"
    lock, clock = a_lock(last_sequence=stated["last_sequence"])
    monkeypatch.setattr("secrets.token_hex", lambda _: stated["nonce"])
    lock.begin()
    clock.ms += case["passed_ms"]
    assert opens(lock, bytes.fromhex(case["message"])) == case["opens"]


@pytest.mark.parametrize("nonce", ["", "ab" * 31, "ab" * 33, "AB" * 32, "xy" * 32, None, 5])
def test_a_nonce_is_32_bytes(nonce: object) -> None:
    with pytest.raises(EnvelopeError, match="nonce must be"):
        check_nonce(nonce)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sequence", -1),
        ("sequence", 2**53),
        ("sequence", True),
        ("waited_ms", 1.5),
        ("llr", float("nan")),
        ("llr", "8"),
        ("p_fa", None),
        ("speaker", ""),
        ("policy", "anything"),
        ("boot_id", "0123"),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: object) -> None:
    values = {each: getattr(ENVELOPE, each) for each in Envelope.__dataclass_fields__}
    with pytest.raises(EnvelopeError, match=f"^{name} must"):
        Envelope(**{**values, name: value})


def test_a_public_key_that_is_none_is_refused() -> None:
    for text in ("", "zz" * 32, "ab" * 31):
        with pytest.raises(EnvelopeError, match="public key is 64 hexadecimal"):
            Verifier(text, "front-door")


def test_a_consumer_imports_nothing_heavy() -> None:
    code = (
        "import sys, voiceguard.unlock.verifier\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    heavy = {"torch", "numpy", "pydantic", "aiomqtt", "soxr", "structlog", "typer", "scipy"}
    assert not heavy & set(done)
    assert "cryptography" in done


@given(st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_however_messages_are_delayed_and_clocks_are_set_nothing_stale_opens(
    data: st.DataObject,
) -> None:
    """Requests and answers take any time, come again in any order; wall clocks say anything."""
    true_ms, sequence = 1_000_000, 0
    lock = Verifier(PUBLIC, "front-door", now_ms=lambda: true_ms)
    on_their_way: list[str] = []
    arrived: dict[str, int] = {}
    answers: list[tuple[int, bytes]] = []
    for step in data.draw(st.lists(st.sampled_from("balwr"), max_size=40)):
        match step:
            case "b":
                on_their_way.append(lock.begin())
            case "a" if on_their_way:
                arrived[on_their_way.pop(0)] = true_ms
            case "l" if arrived:
                sequence += 1
                nonce = data.draw(st.sampled_from(sorted(arrived)))
                wall_ms = data.draw(st.integers(0, 2**52))
                message = answer(
                    nonce,
                    sequence=sequence,
                    issued_at_ms=wall_ms,
                    expires_at_ms=wall_ms + 5000,
                    waited_ms=true_ms - arrived[nonce],
                )
                answers.append((true_ms, message))
            case "w":
                true_ms += data.draw(st.sampled_from([1, 100, 2500, 5001, 70_000]))
            case "r" if answers:
                issued_ms, message = data.draw(st.sampled_from(answers))
                if opens(lock, message):
                    assert true_ms - issued_ms <= 5000
                    assert not opens(lock, message)
