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
from dataclasses import asdict, dataclass, field
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from voiceguard.clock import elapsed_s
from voiceguard.errors import EnvelopeError, VoiceguardError
from voiceguard.types import Outcome, Reason
from voiceguard.unlock.challenge import CHALLENGE_S, digits_in, draw_digits
from voiceguard.unlock.envelope import Envelope, seal
from voiceguard.unlock.requests import Refusal, notice_payload, read_request
from voiceguard.validation.boundary import in_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from concurrent.futures import Executor

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.mqtt.topics import Topics
    from voiceguard.scoring.policy import Verdict
    from voiceguard.unlock.config import UnlockAction, UnlockConfig
    from voiceguard.unlock.hearing import Hearing
    from voiceguard.unlock.records import Records

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

GRACE_S = 3.0
"""Speech that ended in time may be decided so much later: hangover and inference."""
STEP_TIMEOUT_S = 5.0
"""What one step on the disk may take."""
_LOOK_S = 0.5
"""How often the end of requests is looked for; an event loop's timers stand still in a suspend."""
NOT_JUDGED = frozenset(
    {
        *(Reason.TOO_SHORT, Reason.TOO_NOISY, Reason.MORE_THAN_ONE_VOICE, Reason.NO_VOICEPRINTS),
        *(Reason.UNCALIBRATED, Reason.AUDIO_LOST, Reason.OVERLOADED, Reason.INFERENCE_FAILED),
    }
)
"""Whatever the voice, this was no accept: no attempt at guessing one, then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What the desk asks of the daemon around it. Event loop; nothing of it waits."""

    is_listening: Callable[[], bool]
    """Whether anybody could be accepted now."""
    enrolled: Callable[[], Iterable[str]]
    """The speakers in force."""
    judge_for: Callable[[Decision, str, float], Verdict]
    """What a final decision would have been for an action, at this ``p_fa`` or people's rules'."""
    send: Callable[[str, bytes, float], None]
    """Topic, payload and lifetime in seconds: to the broker, not retained, once."""


class _Phase(Enum):
    OPENING = auto()
    OPEN = auto()
    SETTLING = auto()


@dataclass(slots=True)
class _Request:
    """One request of one lock."""

    action: str
    nonce: str
    arrived_s: float
    phase: _Phase = _Phase.OPENING
    opened_s: float = 0.0
    until_s: float = 0.0
    digits: str = ""
    """That must be said; empty: none."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Speech that was judged for a request."""

    request: _Request
    decision: Decision
    verdict: Verdict


@dataclass(slots=True)
class DeskStatistics:
    """Counters since the start."""

    requests_opened: int = 0
    requests_refused: dict[str, int] = field(default_factory=dict)
    attempts_failed: int = 0
    envelopes: int = 0


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
        self._topics = topics
        self._key = key
        self._records = records
        self._policy: dict[str, Any] | None = policy
        self._pre_roll_s = pre_roll_s
        self._executor = executor
        self._clock = clock
        self._home = home
        self._requests: dict[str, _Request] = {}
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
            self._refuse(action, nonce, Refusal.BUSY)
        elif not self._home.is_listening():
            self._refuse(action, nonce, Refusal.UNAVAILABLE)
        elif unknown := set(wanted.speakers).difference(self._home.enrolled()):
            log.error("unlock_speaker_unknown", action=action, speakers=sorted(unknown))
            self._refuse(action, nonce, Refusal.UNKNOWN_SPEAKER)
        else:
            request = _Request(action, nonce, elapsed_s(self._clock))
            self._requests[action] = request
            self._do(partial(self._open, request))

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
                request.phase is _Phase.OPEN
                and request.opened_s <= began_s
                and ended_s <= request.until_s
                and (not action.streams or decision.stream in action.streams)
            ):
                self._try(request, action, decision)

    def _try(self, request: _Request, action: UnlockAction, decision: Decision) -> None:
        verdict = self._home.judge_for(decision, request.action, action.p_fa)
        attempt = _Attempt(request, decision, verdict)
        if verdict.outcome is Outcome.ACCEPTED and verdict.speaker in action.speakers:
            request.phase = _Phase.SETTLING
            self._do(partial(self._succeed, attempt))
        elif verdict.reason in NOT_JUDGED:
            self._tell(request, "unclear", reason=verdict.reason)
        else:
            request.phase = _Phase.SETTLING
            self._do(partial(self._fail, attempt))

    # --- the long-lived task ---------------------------------------------------------------

    async def run(self) -> None:
        """Does what is due, one step after the other."""
        await self._guard(self._note_policy)
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
            if request.phase is _Phase.OPEN and now_s > request.until_s + GRACE_S:
                request.phase = _Phase.SETTLING
                self._do(partial(self._close, request))

    async def _on_disk(self, step: Callable[[], _T]) -> _T:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            return await asyncio.get_running_loop().run_in_executor(self._executor, step)

    @contextlib.asynccontextmanager
    async def _ending(self, request: _Request) -> AsyncIterator[None]:
        """Whatever becomes of the step, its request is over, and the lock is told."""
        try:
            yield
        except BaseException:
            self._refuse(request.action, request.nonce, Refusal.STORAGE)
            raise
        finally:
            del self._requests[request.action]

    async def _note_policy(self) -> None:
        if self._policy is not None:
            await self._on_disk(partial(self._records.note_policy, self._policy))
            self._policy = None

    async def _open(self, request: _Request) -> None:
        try:
            await self._note_policy()  # where the disk was full at the start
            standing = await self._on_disk(partial(self._records.open, request.action))
        except BaseException:
            del self._requests[request.action]
            self._refuse(request.action, request.nonce, Refusal.STORAGE)
            raise
        if standing.wait_s > 0:
            del self._requests[request.action]
            is_off = standing.wait_s == float("inf")
            self._refuse(
                request.action,
                request.nonce,
                Refusal.OFF if is_off else Refusal.LOCKED_OUT,
                seconds=standing.wait_s,
            )
            return
        request.phase = _Phase.OPEN
        request.opened_s = elapsed_s(self._clock)
        seconds, asked = self._config.request_s, {}
        if self._config.actions[request.action].level == "challenge":
            request.digits = draw_digits(self._config.digits)
            seconds, asked = min(seconds, CHALLENGE_S), {"digits": request.digits}
        request.until_s = request.opened_s + seconds
        self.statistics.requests_opened += 1
        log.info("unlock_request_opened", action=request.action)
        self._tell(request, "opened", seconds=seconds, **asked)

    async def _close(self, request: _Request) -> None:
        async with self._ending(request):
            await self._on_disk(partial(self._records.close, request.action))
            log.info("unlock_request_expired", action=request.action)
            self._tell(request, "expired")

    async def _has_said_digits(self, attempt: _Attempt) -> bool:
        """Whether the right voice has said the right digits; if not, its request is ended."""
        request, decision = attempt.request, attempt.decision
        try:
            assert self.hearing is not None
            place = (decision.stream, decision.start_s, decision.end_s)
            said = digits_in(await self.hearing.text_of(*place), self._config.language)
        except Exception as error:  # noqa: BLE001  # whatever a speech-to-text does: nothing opens
            log.error("unlock_not_transcribed", action=request.action, error=in_words(error))  # noqa: TRY400
            async with self._ending(request):
                await self._on_disk(partial(self._records.close, request.action))
                self._refuse(request.action, request.nonce, Refusal.SPEECH_TO_TEXT)
            return False
        if said == request.digits:
            return True
        await self._fail(attempt, why="wrong_digits")
        return False

    async def _fail(self, attempt: _Attempt, why: str | None = None) -> None:
        request, decision = attempt.request, attempt.decision
        about = {
            "stream": decision.stream,
            "decision_id": decision.decision_id,
            "why": why or attempt.verdict.reason.value,
            **_rule_of(attempt),
        }
        async with self._ending(request):
            standing = await self._on_disk(partial(self._records.fail, request.action, about))
            self.statistics.attempts_failed += 1
            log.warning(
                "unlock_attempt_failed",
                action=request.action,
                failures=standing.num_failures,
                **about,
            )
            self._tell(request, "failed", failures=standing.num_failures, seconds=standing.wait_s)

    async def _succeed(self, attempt: _Attempt) -> None:
        request = attempt.request
        if request.digits and not await self._has_said_digits(attempt):
            return
        signed: list[bytes] = []

        def sign(sequence: int, boot_id: str) -> dict[str, Any]:
            envelope = self._envelope(attempt, sequence, boot_id)
            signed.append(seal(envelope, self._key))
            return {**asdict(envelope), **_rule_of(attempt)}

        async with self._ending(request):
            await self._on_disk(partial(self._records.succeed, request.action, sign))
            self.statistics.envelopes += 1
            about = {"action": request.action, "speaker": attempt.verdict.speaker}
            if self._config.actions[request.action].level == "voice":
                log.warning("unlocked_by_voice_alone", **about)
            else:
                log.info("unlock_granted", **about)
            topic = self._topics.unlock_envelope(request.action)
            self._home.send(topic, signed[-1], self._config.expiry_s)

    def _envelope(self, attempt: _Attempt, sequence: int, boot_id: str) -> Envelope:
        request, verdict = attempt.request, attempt.verdict
        assert verdict.speaker is not None
        llrs = {score.speaker: score.llr for score in attempt.decision.scores}
        llr = llrs[verdict.speaker]
        assert llr is not None
        issued_at_ms = int(self._clock.utc().timestamp() * 1000)
        return Envelope(
            node=self._topics.node,
            action=request.action,
            nonce=request.nonce,
            speaker=verdict.speaker,
            stream=attempt.decision.stream,
            policy=self._config.actions[request.action].level,
            llr=round(float(llr), 3),
            p_fa=float(f"{verdict.p_fa:.4g}"),
            issued_at_ms=issued_at_ms,
            expires_at_ms=issued_at_ms + int(self._config.expiry_s * 1000),
            waited_ms=int((elapsed_s(self._clock) - request.arrived_s) * 1000),
            boot_id=boot_id,
            sequence=sequence,
        )

    # --- what goes out ---------------------------------------------------------------------

    def _refuse(self, action: str, nonce: str, reason: Refusal, **about: Any) -> None:  # noqa: ANN401
        refused = self.statistics.requests_refused
        refused[reason] = refused.get(reason, 0) + 1
        log.warning("unlock_request_refused", action=action, reason=reason.value)
        self._send_notice(action, notice_payload(nonce, "refused", reason=reason.value, **about))

    def _tell(self, request: _Request, state: str, **about: Any) -> None:  # noqa: ANN401
        self._send_notice(request.action, notice_payload(request.nonce, state, **about))

    def _send_notice(self, action: str, payload: bytes) -> None:
        self._home.send(self._topics.unlock_notice(action), payload, self._config.expiry_s)


def _rule_of(attempt: _Attempt) -> dict[str, str]:
    """People's rule that decided, for the audit log; nothing where none is about them."""
    return {} if attempt.verdict.rule is None else {"rule": attempt.verdict.rule}
