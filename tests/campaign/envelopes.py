"""Messages for a lock: mutated, cut, spliced, replayed, reordered, expired; none may open it."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tests.campaign.protocol import ViolationError
from tests.unlock.test_verifier import forge, opens
from tests.unlock.vectors import ENVELOPE, KEY
from voiceguard.unlock.envelope import seal
from voiceguard.unlock.keys import public_text
from voiceguard.unlock.verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.campaign.protocol import Campaign, Figure

_PER_REQUEST = 200


def forge_and_replay(seconds: float, seed: int) -> Mapping[str, Figure]:
    """Against one lock with a request open; after each lot the right one opens it, once."""
    rng = random.Random(seed)
    now_ms, sequence, num_refused, num_opened = 1_000_000, ENVELOPE.sequence, 0, 0
    lock = Verifier(public_text(KEY), "front-door", now_ms=lambda: now_ms)
    earlier: list[bytes] = []
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        nonce, sequence = lock.begin(), sequence + 1
        right = seal(replace(ENVELOPE, nonce=nonce, sequence=sequence, waited_ms=3000), KEY)
        now_ms += 3100
        for number in range(_PER_REQUEST):
            is_replay = bool(earlier) and rng.random() < 0.2
            message = rng.choice(earlier) if is_replay else forge(right, rng)
            if opens(lock, message):
                raise ViolationError(f"seed {seed}, request {sequence}, {number}: {message.hex()}")
            num_refused += 1
        now_ms += 5000
        if opens(lock, right):
            raise ViolationError(f"seed {seed}: expired by 100 ms, and taken")
        now_ms -= 5000
        if not opens(lock, right):
            raise ViolationError(f"seed {seed}: the right one was refused")
        num_opened += 1
        earlier = [*earlier[-50:], right]
    return {"num_refused": num_refused, "num_opened": num_opened}


CAMPAIGNS: Final[Mapping[str, Campaign]] = {"envelopes: forged and replayed": forge_and_replay}
