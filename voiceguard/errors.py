"""Every error that a person may meet, in one leaf module.

Each carries the exit code of the command line and two sentences: what is wrong (naming the thing,
the file or the setting, and what was expected) and what to do about it. Where that is to install a
package, ``install_command`` says how.
"""

from __future__ import annotations

import re
import shlex
import sys
from enum import IntEnum
from pathlib import Path

DISTRIBUTION = "voiceguard-daemon"
"""What this package is called in package indexes, where its import name is somebody else's."""


class ExitCode(IntEnum):
    """What the command line exits with; documented in docs/commands.md and ``--help``."""

    OK = 0
    """Done; for ``verify`` and ``identify``: accepted."""
    FAILURE = 1
    USAGE = 2
    REJECTED = 3
    """Rejected or unknown."""
    INCONCLUSIVE = 4
    DEVICE = 5
    BROKER = 6
    WEAK = 7
    """``enroll --strict``: enrolled, and the voiceprint is weak."""
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


class KnownVoiceError(EnrollmentError):
    """A voice that is enrolled already, under another name."""

    def __init__(self, speaker: str, known: str) -> None:
        super().__init__(
            f"this sounds like {known!r}, who is enrolled",
            hint=f"to add to that voiceprint: `voiceguard enroll {known} --add`; if {speaker!r} is "
            "another person, say so with --another-person",
        )
        self.known = known


class StateError(VoiceguardError):
    """The state directory cannot be used: permissions, a full disk, another daemon's lock."""


class UnlockKeyError(VoiceguardError):
    """The key that signs envelopes is missing, open to others, or no key."""


class EnvelopeError(VoiceguardError):
    """A message that opens nothing: forged, stale, for somebody else, or no envelope at all."""

    exit_code = ExitCode.REJECTED


class AuditError(StateError):
    """The audit log can't be written, or was changed."""


class BrokerError(VoiceguardError):
    """The MQTT broker refuses, or cannot be reached where waiting for it makes no sense."""

    exit_code = ExitCode.BROKER


# --- packages that are missing --------------------------------------------------------------


def install_command(*packages: str) -> str:
    """What installs packages for the Python that runs this, to be pasted into a shell as it is.

    In the versions that this distribution asks for; its own name and extras are left out of it,
    since it need not have come from an index.

    Args:
        packages: Their names in pyproject.toml: "silero-vad".
    """
    known = {_normalised(each): each for each in _requirements()}
    wanted = [known.get(_normalised(name), name) for name in packages]
    return shlex.join([sys.executable or "python3", "-m", "pip", "install", *wanted])


def _requirements() -> list[str]:
    """Of this distribution and all its extras, without the markers."""
    from importlib import metadata  # noqa: PLC0415 - slow, and only needed when something is missing

    try:
        stated = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        stated = _stated_by_checkout(Path(__file__).resolve().parents[1] / "pyproject.toml")
    return [each.partition(";")[0].strip() for each in stated]


def _stated_by_checkout(pyproject: Path) -> list[str]:
    import tomllib  # noqa: PLC0415 - likewise

    try:
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return []
    if project.get("name") != DISTRIBUTION:
        return []
    extras = project["optional-dependencies"].values()
    return [*project["dependencies"], *(each for extra in extras for each in extra)]


def _normalised(requirement: str) -> str:
    """The package's name, written as indexes compare names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()
