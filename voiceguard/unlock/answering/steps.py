"""What becomes of requests, one step after the other, each on the disk before it is said.

Event loop; the only part of the desk that waits for the disk. What can't be noted opens nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from voiceguard.clock import elapsed_s
from voiceguard.unlock.answering.pending import Attempt, DeskStatistics, OpenRequest, Phase
from voiceguard.unlock.challenge import CHALLENGE_S, digits_in, draw_digits
from voiceguard.unlock.requests import Refusal
from voiceguard.validation.boundary import in_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor

    from voiceguard.clock import Clock
    from voiceguard.unlock.answering.replies import Replies
    from voiceguard.unlock.config import UnlockConfig
    from voiceguard.unlock.hearing import Hearing
    from voiceguard.unlock.records import Records

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

STEP_TIMEOUT_S = 5.0
"""What one step on the disk may take."""


class Steps:
    """Takes requests from one state to the next.

    Args:
        config: The [unlock] table.
        requests: Those under way, by action; what is over is removed.
        replies: To the locks.
        records: What must be on disk before an answer.
        policy: The settings as the audit log notes them.
        executor: For the disk.
        clock: Time.
        hearing: For challenges. None: no action has one.
        statistics: To count in.
    """

    def __init__(
        self,
        config: UnlockConfig,
        requests: dict[str, OpenRequest],
        *,
        replies: Replies,
        records: Records,
        policy: dict[str, Any],
        executor: Executor,
        clock: Clock,
        hearing: Hearing | None,
        statistics: DeskStatistics,
    ) -> None:
        self._config = config
        self._requests = requests
        self._replies = replies
        self._records = records
        self._policy: dict[str, Any] | None = policy
        self._executor = executor
        self._clock = clock
        self._hearing = hearing
        self._statistics = statistics

    async def _on_disk(self, step: Callable[[], _T]) -> _T:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            return await asyncio.get_running_loop().run_in_executor(self._executor, step)

    @contextlib.asynccontextmanager
    async def _ending(self, request: OpenRequest) -> AsyncIterator[None]:
        """Whatever becomes of the step, its request is over, and the lock is told."""
        try:
            yield
        except BaseException:
            self._replies.refuse(request.action, request.nonce, Refusal.STORAGE)
            raise
        finally:
            del self._requests[request.action]

    async def note_policy(self) -> None:
        """What [unlock] says, where the log has not noted it."""
        if self._policy is not None:
            await self._on_disk(partial(self._records.note_policy, self._policy))
            self._policy = None

    async def open(self, request: OpenRequest) -> None:
        """A request is charged, and opened."""
        try:
            await self.note_policy()  # where the disk was full at the start
            standing = await self._on_disk(partial(self._records.open, request.action))
        except BaseException:
            del self._requests[request.action]
            self._replies.refuse(request.action, request.nonce, Refusal.STORAGE)
            raise
        if standing.wait_s > 0:
            del self._requests[request.action]
            is_off = standing.wait_s == float("inf")
            self._replies.refuse(
                request.action,
                request.nonce,
                Refusal.OFF if is_off else Refusal.LOCKED_OUT,
                seconds=standing.wait_s,
            )
            return
        request.phase = Phase.OPEN
        request.opened_s = elapsed_s(self._clock)
        seconds, asked = self._config.request_s, {}
        if self._config.actions[request.action].level == "challenge":
            request.digits = draw_digits(self._config.digits)
            seconds, asked = min(seconds, CHALLENGE_S), {"digits": request.digits}
        request.until_s = request.opened_s + seconds
        self._statistics.requests_opened += 1
        log.info("unlock_request_opened", action=request.action)
        self._replies.tell(request, "opened", seconds=seconds, **asked)

    async def close(self, request: OpenRequest) -> None:
        """Nobody has spoken: the charge is taken back."""
        async with self._ending(request):
            await self._on_disk(partial(self._records.close, request.action))
            log.info("unlock_request_expired", action=request.action)
            self._replies.tell(request, "expired")

    async def _has_said_digits(self, attempt: Attempt) -> bool:
        """Whether the right voice has said the right digits; if not, its request is ended."""
        request, decision = attempt.request, attempt.decision
        try:
            assert self._hearing is not None
            place = (decision.stream, decision.start_s, decision.end_s)
            said = digits_in(await self._hearing.text_of(*place), self._config.language)
        except Exception as error:  # noqa: BLE001  # whatever a speech-to-text does: nothing opens
            log.error("unlock_not_transcribed", action=request.action, error=in_words(error))  # noqa: TRY400
            async with self._ending(request):
                await self._on_disk(partial(self._records.close, request.action))
                self._replies.refuse(request.action, request.nonce, Refusal.SPEECH_TO_TEXT)
            return False
        if said == request.digits:
            return True
        await self.fail(attempt, why="wrong_digits")
        return False

    async def fail(self, attempt: Attempt, why: str | None = None) -> None:
        """Another voice, or other digits."""
        request, decision = attempt.request, attempt.decision
        about = {
            "stream": decision.stream,
            "decision_id": decision.decision_id,
            "why": why or attempt.verdict.reason.value,
            **_rule_of(attempt),
        }
        async with self._ending(request):
            standing = await self._on_disk(partial(self._records.fail, request.action, about))
            self._statistics.attempts_failed += 1
            log.warning(
                "unlock_attempt_failed",
                action=request.action,
                failures=standing.num_failures,
                **about,
            )
            self._replies.tell(
                request, "failed", failures=standing.num_failures, seconds=standing.wait_s
            )

    async def succeed(self, attempt: Attempt) -> None:
        """The right voice: where it says the right digits, an envelope is noted, then sent."""
        request = attempt.request
        if request.digits and not await self._has_said_digits(attempt):
            return
        sealed: list[bytes] = []

        def sign(sequence: int, boot_id: str) -> dict[str, Any]:
            envelope, message = self._replies.signed(attempt, sequence, boot_id)
            sealed.append(message)
            return {**asdict(envelope), **_rule_of(attempt)}

        async with self._ending(request):
            await self._on_disk(partial(self._records.succeed, request.action, sign))
            self._statistics.envelopes += 1
            about = {"action": request.action, "speaker": attempt.verdict.speaker}
            if self._config.actions[request.action].level == "voice":
                log.warning("unlocked_by_voice_alone", **about)
            else:
                log.info("unlock_granted", **about)
            self._replies.grant(request.action, sealed[-1])


def _rule_of(attempt: Attempt) -> dict[str, str]:
    """People's rule that decided, for the audit log; nothing where none is about them."""
    return {} if attempt.verdict.rule is None else {"rule": attempt.verdict.rule}
