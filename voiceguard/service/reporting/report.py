"""Health and status of the daemon: assessed, and told to log, systemd, MQTT and control socket.

Event loop. Nothing here waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from voiceguard.service.reporting import systemd
from voiceguard.service.reporting.health import DaemonState, Health, assess_health

if TYPE_CHECKING:
    from collections.abc import Callable

    from voiceguard.service.parts import Parts
    from voiceguard.service.streams import StreamSet

log = structlog.get_logger(__name__)


class Reporter:
    """Says how the daemon is.

    Args:
        parts: The daemon's.
        streams: Its streams.
        on_ready: Called once, when it listens.
    """

    def __init__(self, parts: Parts, streams: StreamSet, on_ready: Callable[[], None]) -> None:
        self.health = Health(DaemonState.STARTING)
        self._parts = parts
        self._streams = streams
        self._on_ready = on_ready
        self._feeds_watchdog = systemd.wants_watchdog()
        self._is_ready = False
        self._reported_at_s = float("-inf")

    def hurry(self) -> None:
        """The next report tells the status, however young the last one is."""
        self._reported_at_s = float("-inf")

    def report(self) -> None:
        """Looks at everything; tells health where it changed, and the status every so often."""
        self._assess()
        if self.health.state is not DaemonState.STARTING and not self._is_ready:
            self._is_ready = True
            systemd.notify_systemd("READY=1")
            self._on_ready()
        now_s = self._parts.clock.monotonic_s()
        if now_s - self._reported_at_s >= self._parts.settings.service.status_interval_s:
            self._reported_at_s = now_s
            self._tell_status()

    def _assess(self) -> None:
        roster, service = self._parts.roster, self._parts.settings.service
        inference_age_s = self._streams.inference_age_s()
        health = assess_health(
            is_armed=self._parts.commands.armed.is_armed,
            streams=self._streams.statuses(),
            store_fault=roster.fault,
            is_calibrated=self._parts.kit.calibration is not None,
            num_speakers=len(roster.speakers),
            inference_age_s=inference_age_s,
            inference_timeout_s=service.inference_timeout_s,
        )
        if self._feeds_watchdog and inference_age_s <= service.inference_timeout_s:
            systemd.notify_systemd("WATCHDOG=1")
        if health != self.health:
            log.info("health_changed", state=health.state, reason=health.reason)
            systemd.notify_systemd(f"STATUS={health.state} {health.reason}".rstrip())
            self.health = health
            self.hurry()

    def _tell_status(self) -> None:
        self.note_losses()
        status = self.status()
        self._parts.watching.status(status)
        if self._parts.link is not None:
            self._parts.link.set_available(self.health.is_available, self.health.reason)
            self._parts.link.set_status(status)

    def note_losses(self) -> None:
        """What streams have lost goes to the history, where it is news."""
        for noted in self._streams.news_of_losses():
            self._parts.history.note(noted)
            self._parts.watching.lost(noted)

    def status(self) -> dict[str, Any]:
        """What the status topic says: state, streams with their counters, encoder, speakers."""
        parts, roster = self._parts, self._parts.roster
        info = parts.kit.encoder.info
        return {
            "schema": 1,
            "state": self.health.state,
            "reason": self.health.reason,
            "condition": self.health.condition,
            "has_problem": self.health.has_problem,
            "armed": parts.commands.armed.is_armed,
            "streams": self._streams.describe(),
            "encoder": {
                "name": info.name,
                "encoder_id": info.encoder_id,
                "is_calibrated": parts.kit.calibration is not None,
            },
            "speakers": [name for name, _ in roster.speakers],
            "display_names": dict(roster.speakers),
            "voiceprints": roster.qualities(),
            "policy": parts.commands.choice.describe(),
            "refused": {each.speaker: each.reason for each in roster.refusals},
            "control": parts.control.statistics(),
            **({"wyoming": parts.rooms.statistics()} if parts.rooms else {}),
        }
