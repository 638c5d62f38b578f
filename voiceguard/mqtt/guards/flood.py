"""Hop 6 of 6: how many messages of one topic are listened to. Pure.

Whoever may write to our command topic may write thousands of times a second, and every message
would stand before the acknowledgement of a decision. A topic that floods is left for some seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

BURST = 50
"""Messages that may come at once; nobody switches so often."""
PER_S = 10.0
PAUSES_S = (2.0, 5.0, 10.0)
"""How long a flooding topic is left, the first time and so on: a `disarm` must not wait longer."""
_QUIET_S = 60.0


@dataclass(slots=True)
class FloodGuard:
    """A bucket of tokens for one topic, and how long to stay away once it is empty."""

    tokens: float = BURST
    last_s: float = 0.0
    num_floods: int = 0
    resumes_at_s: float | None = None
    """Until then the topic is left; None while it is listened to."""
    pause_s: float = 0.0
    is_told: bool = False

    def allows(self, now_s: float) -> bool:
        """Takes in one message; False if it, and those to come, are not to be looked at."""
        if self.resumes_at_s is not None:
            return False
        self.tokens = min(BURST, self.tokens + max(0.0, now_s - self.last_s) * PER_S)
        if now_s - self.last_s > _QUIET_S:
            self.num_floods = 0
        self.last_s = now_s
        self.tokens -= 1
        if self.tokens >= 0:
            return True
        self.pause_s = PAUSES_S[min(self.num_floods, len(PAUSES_S) - 1)]
        self.resumes_at_s, self.is_told = now_s + self.pause_s, False
        self.num_floods += 1
        return False

    def resume(self, now_s: float) -> None:
        """The topic is listened to again, and left sooner: the flood may go on."""
        self.resumes_at_s = None
        self.tokens, self.last_s = PER_S, now_s
