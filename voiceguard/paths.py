"""Where voiceguard keeps its state and looks for its configuration.

::

    <state directory>/              0700
      voiceprints/                  0700, one encrypted file per speaker, and where the speaker
                                    agreed one of the audio that it was made from; one of marks of
                                    right and wrong
      voiceguard.key                0600, the key of those files (unless it is given elsewhere)
      unlock.key                    0600, what answers to locks are signed with
      unlock.json                   0600, locks: attempts, lockouts, the sequence number
      audit.jsonl                   0600, what concerns locks, hash-chained
      history.sqlite3               0600, the last decisions
      calibrations/                 one per encoder, fitted here by `voiceguard calibrate`
      models/                       encoders brought here by `voiceguard models import|pull`, a
                                    directory each; `in-use` names the one that "default" means
      node-suffix                   tells the default mqtt.node_id from other machines'
      control.sock                  0600, where commands reach the running daemon
      lock                          held by the daemon that owns this directory
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from voiceguard.errors import ConfigError, StateError
from voiceguard.validation.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMENTED_CONFIG = Path(__file__).parent / "service" / "defaults" / "voiceguard.toml"
"""Every setting with its default, to be copied; config/voiceguard.toml by a link, so that it is in
every installation. Beside it, in ``service/units``, are the systemd units."""

SYSTEM_CONFIG = Path("/etc/voiceguard/voiceguard.toml")
"""The system service's configuration."""

VOICEPRINT_SUFFIX = ".voiceprint"
"""Of a speaker's file in ``voiceprints_dir``."""

_MAX_SUFFIX = 8
_SUFFIX = re.compile(r"[a-z0-9]{1,8}")

PRIVATE_DIR_MODE = 0o700
PRIVATE_FILE_MODE = 0o600


def find_config_file(explicit: Path | None = None) -> Path | None:
    """The configuration file in force, or None: the built-in defaults.

    Order: ``--config``, ``VOICEGUARD_CONFIG``, the user's configuration directory,
    ``/etc/voiceguard/voiceguard.toml``.

    Raises:
        ConfigError: A file named explicitly is not there, or no file.
    """
    named = explicit or (Path(env) if (env := os.environ.get("VOICEGUARD_CONFIG")) else None)
    if named is not None:
        if not _is_file(named):
            fault = "is no file" if is_there(named) else "is not there"
            raise ConfigError(
                f"configuration file {named} {fault}",
                hint=f"name an existing file with --config, or copy {COMMENTED_CONFIG}",
            )
        return named
    return next((path for path in (own_config_file(), SYSTEM_CONFIG) if _is_file(path)), None)


def own_config_file() -> Path:
    """Where a user's configuration is, in ``$XDG_CONFIG_HOME``; it need not exist."""
    return platformdirs.user_config_path("voiceguard") / "voiceguard.toml"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # settings that may not be read must not be passed over in silence
        raise ConfigError(
            f"cannot look for a configuration file {path}: {error.strerror}",
            hint="mend the permissions of its directory, or name another file with --config",
        ) from error


def state_dir(override: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The state directory, which need not exist yet.

    Args:
        override: The setting ``state_dir``; empty or None: not set.
        environ: ``VOICEGUARD_STATE_DIR`` comes next, then systemd's ``STATE_DIRECTORY`` (the first
            of its colon-separated directories), then the platform's place for a user's state.
    """
    if override and str(override):
        return Path(override).expanduser()
    if chosen := environ.get("VOICEGUARD_STATE_DIR"):
        return Path(chosen).expanduser()
    if from_systemd := environ.get("STATE_DIRECTORY", "").split(":", 1)[0]:
        return Path(from_systemd)
    return platformdirs.user_state_path("voiceguard", appauthor=False)


def voiceprints_dir(state: Path) -> Path:
    """One file per enrolled speaker, and nothing else of value."""
    return state / "voiceprints"


def enrolled_in(state: Path) -> list[str]:
    """Speakers who have a voiceprint there, readable or not; no cipher is imported for it."""
    return sorted(path.stem for path in voiceprints_dir(state).glob(f"*{VOICEPRINT_SUFFIX}"))


def default_key_file(state: Path) -> Path:
    """Beside the voiceprints' directory, so that a copy of that directory tells nothing."""
    return state / "voiceguard.key"


def unlock_key_file(state: Path) -> Path:
    """What answers to locks are signed with; it need not exist."""
    return state / "unlock.key"


def unlock_counters_file(state: Path) -> Path:
    """Attempts at every action of a lock, and the sequence number; it need not exist."""
    return state / "unlock.json"


def audit_file(state: Path) -> Path:
    """What concerns locks, hash-chained; begins with `voiceguard unlock keys`."""
    return state / "audit.jsonl"


def history_file(state: Path) -> Path:
    """The database of the last decisions."""
    return state / "history.sqlite3"


def own_calibration_file(state: Path, encoder_id: str) -> Path:
    """What ``voiceguard calibrate`` fitted to an encoder on this machine; it need not exist."""
    return state / "calibrations" / f"{encoder_id}.json"


def models_dir(state: Path) -> Path:
    """Encoders that were imported, each in a directory of its name; it need not exist."""
    return state / "models"


def lock_file(state: Path) -> Path:
    """Locked by the daemon for as long as it runs."""
    return state / "lock"


def node_suffix_file(state: Path) -> Path:
    """A few characters that tell this machine from others of the same name."""
    return state / "node-suffix"


def read_node_suffix(state: Path) -> str:
    """Those characters; empty where there are none."""
    try:
        content = read_regular(node_suffix_file(state), _MAX_SUFFIX + 2)
    except OSError:
        return ""
    text = content.decode("ascii", errors="replace").strip()
    return text if _SUFFIX.fullmatch(text) else ""


def settle_node_suffix(state: Path) -> str:
    """As ``read_node_suffix``, but a state directory that is new gets them now.

    One with voiceprints or a history has been heard of under the machine's name alone, and keeps
    it. Where nothing can be written the name has to do as well.
    """
    if suffix := read_node_suffix(state):
        return suffix
    with contextlib.suppress(OSError):
        files = (history_file(state), default_key_file(state), node_suffix_file(state))
        if any(os.path.lexists(path) for path in files) or any(voiceprints_dir(state).glob("*.*")):
            return ""
        state.mkdir(mode=PRIVATE_DIR_MODE, parents=True, exist_ok=True)
        descriptor = os.open(
            node_suffix_file(state), os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE_MODE
        )
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_hex(2)}\n")
    return read_node_suffix(state)


def is_there(path: Path) -> bool:
    """Whether something exists there; unlike ``Path.exists`` with an error that says what to do.

    Raises:
        StateError: One may not even look.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StateError(
            f"cannot look for {path}: {error.strerror}",
            hint=f"run as the owner of its directory, or `chown` that to this user "
            f"(uid {os.getuid()})",
        ) from error
    return True


def is_open_to_all(directory: Path) -> bool:
    """Whether every user of the machine may put files there: voiceprints and their key, say."""
    try:
        return bool(directory.stat().st_mode & stat.S_IWOTH)
    except OSError:  # whoever uses it will be told
        return False


def make_private_dir(directory: Path) -> None:
    """Makes a directory and its missing parents, each for its owner only; keeps existing ones.

    Raises:
        StateError: It cannot be made, or cannot be written to.
    """
    missing = [path for path in (directory, *directory.parents) if not is_there(path)]
    try:
        for path in reversed(missing):
            path.mkdir(mode=PRIVATE_DIR_MODE, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"cannot make the directory {directory}: {error.strerror}",
            hint="choose another with --state-dir, VOICEGUARD_STATE_DIR or `state_dir` in the "
            "configuration, or mend the permissions of its parent",
        ) from error
    if not directory.is_dir():
        raise StateError(f"{directory} is not a directory", hint="move that file away")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StateError(
            f"no permission to write into {directory}",
            hint=f"run as its owner, or `chown` it to this user (uid {os.getuid()})",
        )
