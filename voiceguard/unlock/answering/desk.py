"""The daemon's side of locks: requests in, what was decided about speech in, envelopes out.

Event loop; ``run`` is one of the daemon's long-lived tasks, and the only one that waits for the
disk. Per action at most one request: opening (being charged on disk), open (listening for
speech), settling (its one attempt is being noted). So everything is bounded by the number of
actions, and no decision is ever queued. An attempt is a final decision about speech that began and
ended while the request was open, and that could have been accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from voiceguard.clock import elapsed_s
from voiceguard.errors import EnvelopeError, VoiceguardError
from voiceguard.types import Outcome
from voiceguard.unlock.answering.pending import (
    NOT_JUDGED,
    Attempt,
    DeskStatistics,
    Home,
    OpenRequest,
    Phase,
)
from voiceguard.unlock.answering.replies import Replies
from voiceguard.unlock.answering.steps import Steps
from voiceguard.unlock.requests import Refusal, read_request
from voiceguard.validation.boundary import in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.mqtt.topics import Topics
    from voiceguard.unlock.config import UnlockAction, UnlockConfig
    from voiceguard.unlock.hearing import Hearing
    from voiceguard.unlock.records import Records

log = structlog.get_logger(__name__)

GRACE_S = 3.0
"""Speech that ended in time may be decided so much later: hangover and inference."""
_LOOK_S = 0.5
"""How often the end of requests is looked for; an event loop's timers stand still in a suspend."""


class Desk:
    """Answers the locks of the settings.

    Args:
        config: The [unlock] table, with at least one action.
        topics: Where they are answered.
        key: What envelopes are signed with.
        records: What must be on disk before an answer.
        policy: The settings as the audit log notes them.
        pre_roll_s: What segments hold of the time before the first word.
        executor: For the disk.
        clock: Time.
        home: The daemon.
        hearing: For challenges; watches the streams. None: no action has one.
    """

    def __init__(
        self,
        config: UnlockConfig,
        *,
        topics: Topics,
        key: Ed25519PrivateKey,
        records: Records,
        policy: dict[str, Any],
        pre_roll_s: float,
        executor: Executor,
        clock: Clock,
        home: Home,
        hearing: Hearing | None = None,
    ) -> None:
        self.hearing = hearing
        self.statistics = DeskStatistics()
        self._config = config
        self._pre_roll_s = pre_roll_s
        self._clock = clock
        self._home = home
        self._requests: dict[str, OpenRequest] = {}
        self._replies = Replies(
            config, topics=topics, key=key, clock=clock, home=home, statistics=self.statistics
        )
        self._steps = Steps(
            config,
            self._requests,
            replies=self._replies,
            records=records,
            policy=policy,
            executor=executor,
            clock=clock,
            hearing=hearing,
            statistics=self.statistics,
        )
        self._work: deque[Callable[[], Awaitable[None]]] = deque()
        self._wake = asyncio.Event()
        self._is_at_work = True

    @property
    def is_busy(self) -> bool:
        """Whether something is being noted."""
        return self._is_at_work or bool(self._work)

    # --- what comes in; nothing here waits -------------------------------------------------

    def take(self, action: str, payload: bytes) -> None:
        """A request from the broker, by whoever may publish there."""
        try:
            nonce = read_request(payload)
        except EnvelopeError as error:
            log.warning("unlock_request_ignored", action=action[:32], cause=str(error))
            return
        wanted = self._config.actions.get(action)
        if wanted is None:
            log.warning("unlock_request_ignored", action=action[:32], cause="no such action")
        elif action in self._requests:
            self._replies.refuse(action, nonce, Refusal.BUSY)
        elif not self._home.is_listening():
            self._replies.refuse(action, nonce, Refusal.UNAVAILABLE)
        elif unknown := set(wanted.speakers).difference(self._home.enrolled()):
            log.error("unlock_speaker_unknown", action=action, speakers=sorted(unknown))
            self._replies.refuse(action, nonce, Refusal.UNKNOWN_SPEAKER)
        else:
            request = OpenRequest(action, nonce, elapsed_s(self._clock))
            self._requests[action] = request
            self._do(partial(self._steps.open, request))

    def publish(self, decision: Decision) -> None:
        """A decision, in the moment that it is made (a DecisionSink)."""
        if not decision.is_final:
            return
        now_s = elapsed_s(self._clock)
        # A segment begins with what was heard before its first word.
        began_s = now_s - (decision.decided_at - decision.started_at).total_seconds()
        began_s += self._pre_roll_s
        ended_s = now_s - (decision.decided_at - decision.ended_at).total_seconds()
        for request in self._requests.values():
            action = self._config.actions[request.action]
            if (
                request.phase is Phase.OPEN
                and request.opened_s <= began_s
                and ended_s <= request.until_s
                and (not action.streams or decision.stream in action.streams)
            ):
                self._try(request, action, decision)

    def _try(self, request: OpenRequest, action: UnlockAction, decision: Decision) -> None:
        verdict = self._home.judge_for(decision, request.action, action.p_fa)
        attempt = Attempt(request, decision, verdict)
        if verdict.outcome is Outcome.ACCEPTED and verdict.speaker in action.speakers:
            request.phase = Phase.SETTLING
            self._do(partial(self._steps.succeed, attempt))
        elif verdict.reason in NOT_JUDGED:
            self._replies.tell(request, "unclear", reason=verdict.reason)
        else:
            request.phase = Phase.SETTLING
            self._do(partial(self._steps.fail, attempt))

    # --- the long-lived task ---------------------------------------------------------------

    async def run(self) -> None:
        """Does what is due, one step after the other."""
        await self._guard(self._steps.note_policy)
        while True:
            self._expire(elapsed_s(self._clock))
            self._is_at_work = True
            while self._work:
                await self._guard(self._work.popleft())
            self._is_at_work = False
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S if self._requests else None):
                    await self._wake.wait()

    def _do(self, step: Callable[[], Awaitable[None]]) -> None:
        self._work.append(step)
        self._wake.set()

    async def _guard(self, step: Callable[[], Awaitable[None]]) -> None:
        """What fails answers nobody, and ends nothing else."""
        try:
            await step()
        except VoiceguardError as error:
            log.error("unlock_not_answered", error=str(error), hint=error.hint)  # noqa: TRY400
        except TimeoutError:
            log.error("unlock_not_answered", error="the state directory does not answer")  # noqa: TRY400
        except Exception as error:
            log.exception("unlock_not_answered", error=in_words(error))

    def _expire(self, now_s: float) -> None:
        for request in self._requests.values():
            if request.phase is Phase.OPEN and now_s > request.until_s + GRACE_S:
                request.phase = Phase.SETTLING
                self._do(partial(self._steps.close, request))
