"""Installs the systemd unit that the package carries, starts it, and takes it away again.

Blocking: asks ``systemctl``. State, voiceprints and configuration are never removed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from voiceguard.errors import StateError
from voiceguard.paths import COMMENTED_CONFIG, SYSTEM_CONFIG
from voiceguard.service.setup.configuration import edited
from voiceguard.service.setup.credential import with_credential, write_whole
from voiceguard.settings import load_settings

UNIT = "voiceguard.service"
_SHIPPED = COMMENTED_CONFIG.parents[1] / "units"
_RUNNING = {"running", "degraded", "starting", "initializing", "maintenance"}
_START_S = 150
"""The unit gives itself two minutes to load."""
_HIDDEN = ("home", "root", "run/user")
"""What the system unit's sandbox hides from it."""
_PACKAGED = Path("usr/lib/systemd/system") / UNIT
"""The Debian package's, for the program in /opt/voiceguard."""
_PACKAGED_PROGRAM = "/opt/voiceguard/bin/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """voiceguard as a service of this machine, or of its user's session.

    Args:
        of_user: The user's.
        root: Where the system's files are, for tests.
    """

    of_user: bool
    root: Path = Path("/")

    @property
    def path(self) -> Path:
        """Of the unit's file."""
        is_of_package = self._has_package and not self._own.exists()
        return self.root / _PACKAGED if is_of_package else self._own

    @property
    def is_packaged(self) -> bool:
        """Whether the unit is the Debian package's, and nobody's to write or remove."""
        return self.path == self.root / _PACKAGED

    @property
    def config(self) -> Path:
        """What the system's reads."""
        return self.root / SYSTEM_CONFIG.relative_to("/")

    @property
    def state_dir(self) -> Path:
        """The system's, of which root alone sees the inside."""
        return self.root / "var/lib/voiceguard"

    @property
    def _own(self) -> Path:
        """The unit's file that is written here."""
        if not self.of_user:
            return self.root / "etc/systemd/system" / UNIT
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(config) / "systemd/user" / UNIT

    @property
    def _has_package(self) -> bool:
        return not self.of_user and (self.root / _PACKAGED).exists()

    @property
    def log_command(self) -> str:
        """What shows its log."""
        return f"journalctl {'--user ' if self.of_user else ''}-u voiceguard -f"

    def check(self) -> None:
        """Whether it can be installed at all.

        Raises:
            StateError: This machine or session has no systemd, or it takes another user.
        """
        state = self._systemctl("is-system-running", check=False).stdout.strip()
        if state not in _RUNNING:
            whose = "this session has no systemd" if self.of_user else "systemd does not run here"
            raise StateError(
                f"{whose} (systemctl is-system-running: {state or 'no answer'})",
                hint="`voiceguard run` works without it; let what starts programs here start that"
                + (
                    "" if not self.of_user else ", or install it for the system: as root, no --user"
                ),
            )
        if not self.of_user and os.geteuid() != 0:
            raise StateError(
                "installing a service of the system takes root",
                hint="`sudo voiceguard service install`, or --user for your own session",
            )

    def install(self, config: Path | None = None) -> Path:
        """Writes the unit, starts it now and at every boot (or log-in), waits until it is ready.

        Args:
            config: That it reads; None: the usual place, for the system /etc/voiceguard.

        Returns:
            The unit's file.

        Raises:
            StateError: It can't be written, or does not start; says what the log says.
            ConfigError: The configuration is wrong.
        """
        self.check()
        command = _program(may_be_home=self.of_user)
        if config is not None:
            load_settings(config)
        elif not self.of_user:
            config = self._system_config()
        arguments = ["run", *([] if config is None else ["--config", str(config.absolute())])]
        is_its_program = command[0].startswith(_PACKAGED_PROGRAM) and config == self.config
        if self.is_packaged and is_its_program:
            return self._started()
        unit = (_SHIPPED / ("voiceguard-user.service" if self.of_user else UNIT)).read_text("utf-8")
        started = " ".join(_quoted(each) for each in [*command, *arguments])
        unit = re.sub(r"(?m)^ExecStart=.*$", lambda _: f"ExecStart={started}", unit)
        write_whole(self._own, unit)
        return self._started()

    def _started(self) -> Path:
        self._systemctl("daemon-reload")
        self._systemctl("enable", UNIT)
        started_well = self._systemctl("restart", UNIT, check=False)
        if started_well.returncode != 0:
            raise StateError(
                f"the service is installed and does not start: {self._last_words()}",
                hint=f"{self.log_command} says more; `voiceguard doctor` what is wrong",
            )
        return self.path

    def uninstall(self) -> bool:
        """Stops it and removes the unit; whether there was one. What it knows stays.

        The unit of a package is left to the package.

        Raises:
            StateError: It can't be removed.
        """
        if not self.path.exists():
            return False
        self.check()
        self._systemctl("disable", "--now", UNIT, check=False)
        if self.is_packaged:
            return True
        try:
            self.path.unlink()
        except OSError as error:
            raise StateError(
                f"cannot remove {self.path}: {error.strerror}", hint="mend its permissions"
            ) from error
        self._systemctl("daemon-reload")
        return True

    def state(self) -> dict[str, str | bool]:
        """What systemd says of it."""
        active = self._systemctl("is-active", UNIT, check=False).stdout.strip()
        enabled = self._systemctl("is-enabled", UNIT, check=False).stdout.strip()
        return {
            "installed": self.path.exists(),
            "active": active or "unknown",
            "enabled": enabled or "unknown",
            "unit": str(self.path),
            "log": self.log_command,
        }

    def stop(self) -> None:
        """Until ``start``: somebody else needs the microphone."""
        self._systemctl("stop", UNIT)

    def start(self) -> None:
        """Again."""
        self._systemctl("start", UNIT)

    def enrolling(self, arguments: list[str]) -> list[str]:
        """The command that enrolls as the service, with its account, state and key.

        Args:
            arguments: Of ``voiceguard enroll``.
        """
        command = [*_program(may_be_home=self.of_user), "enroll", *arguments]
        if self.of_user:
            return command
        is_dynamic = "no" if self._has_package else "yes"  # whose account stays
        properties = (
            *(f"DynamicUser={is_dynamic}", "User=voiceguard", "SupplementaryGroups=audio"),
            *("StateDirectory=voiceguard", "LoadCredential=voiceguard-key"),
        )
        return [
            *("systemd-run", "--pty", "--wait", "--quiet"),
            *(f"--property={each}" for each in properties),
            *command,
        ]

    # --- files and systemctl ----------------------------------------------------------------

    def _system_config(self) -> Path:
        """/etc/voiceguard/voiceguard.toml; made of the settings in force where there is none.

        The password goes where systemd hands it to the service, and to nobody else.
        """
        path = self.config
        if path.exists():
            load_settings(path)
            return path
        settings = load_settings()
        mqtt = {
            "broker": settings.mqtt.broker,
            "username": settings.mqtt.username,
            "password_file": settings.mqtt.password_file,
        }
        mqtt = with_credential(self.root, mqtt)
        audio = {"sources": list(settings.audio.sources)}
        write_whole(path, edited("", {"audio": audio, "mqtt": mqtt}))
        return path

    def _systemctl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["systemctl", *(["--user"] if self.of_user else []), *words]
        try:
            done = subprocess.run(  # noqa: S603 - words of our own
                command, capture_output=True, text=True, timeout=_START_S, check=False
            )
        except FileNotFoundError as error:
            raise StateError(
                "there is no systemctl here, so no systemd to install a service in",
                hint="`voiceguard run` works without it; let what starts programs here start that",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise StateError(
                f"`{' '.join(command)}` does not answer",
                hint=f"see `{self.log_command}`, then give this command again",
            ) from error
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
            raise StateError(f"`{' '.join(command)}`: {said}", hint=f"see `{self.log_command}`")
        return done

    def _last_words(self) -> str:
        user = ["--user"] if self.of_user else []
        command = ["journalctl", *user, "-u", UNIT, "-n", "3", "-o", "cat", "--no-pager"]
        try:
            done = subprocess.run(  # noqa: S603 - likewise
                command, capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return "its log cannot be read"
        return " / ".join(done.stdout.split("\n")).strip(" /") or "its log is empty"


def _program(*, may_be_home: bool) -> list[str]:
    """What starts voiceguard, of the installation that this is."""
    script = Path(sys.executable).with_name("voiceguard")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "voiceguard"]
    if not may_be_home and any(command[0].startswith(f"/{each}/") for each in _HIDDEN):
        raise StateError(
            f"the system's service may not see {command[0]}: its sandbox hides /home and /root",
            hint="install voiceguard into /opt/voiceguard (docs/as-a-service.md), or --user",
        )
    return command


def _quoted(word: str) -> str:
    """A word of ExecStart as systemd reads it."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if re.search(r"\s|['\"]", word) else word
