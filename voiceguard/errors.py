"""Every error that a person may meet, in one leaf module.

Each carries the exit code of the command line and two sentences: what is wrong (naming the thing,
the file or the setting, and what was expected) and what to do about it.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command line exits with; documented in README and ``--help``."""

    OK = 0
    """Done; for ``verify`` and ``identify``: accepted."""
    FAILURE = 1
    USAGE = 2
    REJECTED = 3
    """Rejected or unknown."""
    INCONCLUSIVE = 4
    DEVICE = 5
    BROKER = 6
    INTERRUPTED = 130
    """By Ctrl-C or a signal, as shells count it."""


class VoiceguardError(Exception):
    """Base of all of them. ``str(error)`` is what is wrong; ``error.hint`` is what to do."""

    exit_code = ExitCode.FAILURE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InterruptedRunError(VoiceguardError):
    """Stopped by a person before it was done, with something kept to go on from."""

    exit_code = ExitCode.INTERRUPTED


class UsageError(VoiceguardError):
    """A command or name that cannot be meant as written."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A setting that is unknown, malformed or out of range."""


class AudioError(VoiceguardError):
    """A file or stream that is not the audio it should be: empty, truncated, not audio at all."""


class DeviceError(VoiceguardError):
    """A microphone that is missing, busy or broken, or no PortAudio to reach it with."""

    exit_code = ExitCode.DEVICE


class EncoderError(VoiceguardError):
    """Weights that are missing, corrupt or not what their card says."""


class VoiceprintError(VoiceguardError):
    """A voiceprint that is missing, unreadable, tampered with or of another encoder."""


class StoreKeyError(VoiceguardError):
    """The store's key is missing, unreadable or not the one that sealed these voiceprints."""


class EnrollmentError(VoiceguardError):
    """Not enough usable speech to enroll somebody, or the wrong kind."""


class StateError(VoiceguardError):
    """The state directory cannot be used: permissions, a full disk, another daemon's lock."""


class BrokerError(VoiceguardError):
    """The MQTT broker refuses, or cannot be reached where waiting for it makes no sense."""

    exit_code = ExitCode.BROKER
