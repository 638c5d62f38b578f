"""Logging: structlog on standard error, console lines for people or JSON for machines.

Events are snake_case names of what happened, with fields; EVENTS is their catalogue, and a test
holds every logging call of the package against it. Audio, embeddings, keys and passwords are
never logged.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeAlias

import structlog

from voiceguard.outputs import forgiving
from voiceguard.validation.ranges import SettingsTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LogLevel = Literal["debug", "info", "warning", "error"]

Words: TypeAlias = "Callable[[Mapping[str, Any]], str | None]"
"""Makes a sentence of an event; None: it is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig(SettingsTable):
    """What is said on standard error, the [log] table of voiceguard.toml."""

    level: LogLevel = "info"
    """Less important events are left out."""
    format: Literal["auto", "console", "json"] = "auto"
    """``auto`` is console on a terminal and JSON elsewhere."""


EVENTS: dict[str, str] = {
    "broker_connected": "connected, with this version of MQTT",
    "broker_connection_failed": "not connected, or lost again; logged when the cause changes",
    "broker_refused": "a message or a subscription; each cause is told once",
    "cache_unusable": "an evaluation's cached embeddings could not be read or written",
    "channels_cancel": "opposite channels: their mix is next to silence",
    "command_ignored": "a retained or unknown MQTT command",
    "command_received": "arm, disarm or reload came over MQTT",
    "container_recognised": "standard input holds a file, not raw samples; it is decoded",
    "control_client_lost": "a client of the control socket broke off or reads nothing",
    "control_request_failed": "a command of the control socket failed as nobody expected",
    "control_unavailable": "the control socket could not be made; the daemon goes on without",
    "daemon_restarting": "it was told to start anew",
    "daemon_stopped": "everything is closed",
    "decision_late": "a transcript could not wait for its decision any longer",
    "decisions_lost": "dropped, expired, refused or heard by nobody so far; once a minute at most",
    "device_opened": "a microphone delivers, at this rate",
    "embedded_broker_abandoned": "it did not shut down in time and was left behind",
    "embedded_broker_started": "anonymous, on loopback: for first runs only",
    "encoder_runtime_refused": "it can't run the encoder, or computes something else; the next is",
    "encoder_uncalibrated": "every decision will be inconclusive, and what makes a calibration",
    "event_held_back": "a Wyoming event that says words was not passed on before the decision",
    "file_damaged": "parts of an audio file can't be decoded; the rest was used",
    "file_truncated": "an audio file ends early; what there is was used",
    "health_changed": "listening, disarmed, unavailable, and why",
    "history_entry_refused": "an entry of the history is no decision; the others are shown",
    "history_not_written": "a decision could not be remembered",
    "history_set_aside": "the history was damaged; a new one was begun",
    "home_assistant_started": "discovery and states were sent again",
    "inference_failed": "the encoder failed on a window; its segment is inconclusive",
    "lock_connected": "the lock listens, and may ask",
    "lock_disconnected": "the lock has lost the broker, and tries again",
    "lock_opened": "a valid envelope came for the lock's own request",
    "lock_program_failed": "what the lock should run could not be run, or failed",
    "marks_refused": "what was said of somebody's decisions can't be believed; it moves nothing",
    "message_refused": "an MQTT message that nobody expected; the others go on",
    "node_id_contested": "another daemon calls itself by our mqtt.node_id",
    "not_announced": "other machines can't find a room's port by themselves",
    "output_not_written": "standard output is full, closed or not read; decisions go on elsewhere",
    "partial_frame_dropped": "standard input ended in mid-sample",
    "policy_chosen": "another of the configured rates is in force",
    "policy_not_noted": "what is allowed has changed, and the audit log could not be written",
    "recording_thinned": "of a long recording, an evaluation uses windows spread over all of it",
    "rule_names_nobody": "a rule for people names somebody who is not enrolled",
    "sink_failed": "a callback or another way out broke on a decision; the others have it",
    "source_changed": "a stream is listening, stalled, muted, lost or ended",
    "speech_judge_missing": "nothing tells speech from noise; the energy detector hears alone",
    "speech_too_soft": "speech is hardly louder than a sample's last bit; the level is too low",
    "state_dir_exposed": "every user of the machine may write into it, and enroll themselves",
    "stream_failed": "a source or stream broke in a way that nobody expected; the others go on",
    "suspend_noticed": "the machine slept; what was pending is dropped",
    "switch_not_remembered": "armed or disarmed could not be stored for a restart",
    "topic_flooded": "more messages than anybody sends; it is left for so long",
    "transcript_gated": "a turn's words were kept back: its speaker may not command",
    "turn_unjudged": "a room's turn ended without a decision",
    "unlock_attempt_failed": "speech during an open request was not who may open",
    "unlock_granted": "an envelope was signed and sent",
    "unlock_not_answered": "an envelope could not be signed, kept or sent: nothing opens",
    "unlock_not_transcribed": "nobody could read the digits: nothing opens",
    "unlock_request_expired": "nobody answered a request in time",
    "unlock_request_ignored": "a request that is retained, repeated or malformed",
    "unlock_request_opened": "a lock asks for somebody's voice",
    "unlock_request_refused": "a request that may not be opened now, and why",
    "unlock_speaker_unknown": "an action names somebody who is not enrolled",
    "unlocked_by_voice_alone": "the risk that was accepted was taken once more",
    "upstream_failed": "a room's speech-to-text is gone, slow or answers garbage",
    "voiceprint_refused": "a voiceprint was not believed; the others go on",
    "voiceprints_loaded": "who is known from now on",
    "voiceprints_unreadable": "nobody can be recognised: a missing or wrong key, say",
    "wyoming_client_failed": "a Wyoming connection broke in a way that nobody expected",
    "wyoming_client_lost": "a Wyoming client left in the middle of a turn",
    "wyoming_satellite_connected": "a satellite runs for this daemon",
    "wyoming_satellite_failed": "a satellite's connection broke in a way that nobody expected",
    "wyoming_event_refused": "a Wyoming client sent what is no event, or too much",
}
"""The event catalogue: every name that a log line can have, and what it means."""


def configure_logging(config: LogConfig, in_words: Words | None = None) -> None:
    """Sets up structlog and routes the libraries' own loggers (warnings and worse) into it.

    Args:
        config: Level and format.
        in_words: Tells events on a terminal instead, unless the format is stated.
    """
    level = logging.getLevelNamesMapping()[config.level.upper()]
    is_terminal = sys.stderr.isatty()
    file = _standard_error()
    renderer: Any = structlog.processors.JSONRenderer()
    if config.format == "auto" and is_terminal and in_words is not None:
        renderer = _Telling(in_words)
    elif config.format == "console" or (config.format == "auto" and is_terminal):
        renderer = structlog.dev.ConsoleRenderer(colors=is_terminal, pad_event_to=0)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file),
        cache_logger_on_first_use=False,
    )
    handler = LogHandler(file)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    for older in root.handlers:
        if isinstance(older, LogHandler):
            older.close()
    root.handlers = [handler]
    root.setLevel(max(level, logging.WARNING))


class _Telling:
    """Renders events as sentences."""

    def __init__(self, in_words: Words) -> None:
        self._in_words = in_words

    def __call__(self, _logger: object, _method: str, event: Mapping[str, Any]) -> str:
        if (sentence := self._in_words(event)) is None:
            raise structlog.DropEvent
        return sentence


class LogHandler(logging.StreamHandler[TextIO]):
    """Where the libraries' loggers go; closed, it takes its descriptor along."""

    def close(self) -> None:
        super().close()
        if self.stream not in {sys.stderr, sys.__stderr__}:
            self.stream.close()


def _standard_error() -> TextIO:
    """Standard error by a descriptor of its own.

    sounddevice points descriptor 2 at /dev/null whenever it starts PortAudio; what is logged in
    those moments (a lost device) would vanish. Nor does a full disk behind it end anything.
    """
    try:
        return forgiving(os.dup(sys.stderr.fileno()), closefd=True)
    except (OSError, io.UnsupportedOperation):  # replaced by something that is not a file
        return sys.stderr
