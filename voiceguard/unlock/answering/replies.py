"""What a desk says to locks: notices for people, and envelopes that open. Event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from voiceguard.clock import elapsed_s
from voiceguard.unlock.envelope import Envelope, seal
from voiceguard.unlock.requests import Refusal, notice_payload

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from voiceguard.clock import Clock
    from voiceguard.mqtt.topics import Topics
    from voiceguard.unlock.answering.pending import Attempt, DeskStatistics, Home, OpenRequest
    from voiceguard.unlock.config import UnlockConfig

log = structlog.get_logger(__name__)


class Replies:
    """Sends them, once each, never retained.

    Args:
        config: The [unlock] table.
        topics: Where locks are answered.
        key: What envelopes are signed with.
        clock: Time.
        home: The daemon.
        statistics: To count in.
    """

    def __init__(
        self,
        config: UnlockConfig,
        *,
        topics: Topics,
        key: Ed25519PrivateKey,
        clock: Clock,
        home: Home,
        statistics: DeskStatistics,
    ) -> None:
        self._config = config
        self._topics = topics
        self._key = key
        self._clock = clock
        self._home = home
        self._statistics = statistics

    def refuse(self, action: str, nonce: str, reason: Refusal, **about: Any) -> None:  # noqa: ANN401
        """A request is not opened, or over before anybody was judged."""
        refused = self._statistics.requests_refused
        refused[reason] = refused.get(reason, 0) + 1
        log.warning("unlock_request_refused", action=action, reason=reason.value)
        self._notify(action, notice_payload(nonce, "refused", reason=reason.value, **about))

    def tell(self, request: OpenRequest, state: str, **about: Any) -> None:  # noqa: ANN401
        """How a request stands."""
        self._notify(request.action, notice_payload(request.nonce, state, **about))

    def _notify(self, action: str, payload: bytes) -> None:
        self._home.send(self._topics.unlock_notice(action), payload, self._config.expiry_s)

    def signed(self, attempt: Attempt, sequence: int, boot_id: str) -> tuple[Envelope, bytes]:
        """The envelope for an attempt that has succeeded, and as it is sent. Any thread."""
        envelope = self._envelope(attempt, sequence, boot_id)
        return envelope, seal(envelope, self._key)

    def grant(self, action: str, sealed: bytes) -> None:
        """Sends an envelope."""
        self._home.send(self._topics.unlock_envelope(action), sealed, self._config.expiry_s)

    def _envelope(self, attempt: Attempt, sequence: int, boot_id: str) -> Envelope:
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
