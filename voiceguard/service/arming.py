"""What was chosen while it ran, kept over restarts: whether to listen, and at which error rate.

Only rates that the settings list can be chosen: whoever may write to the broker can't weaken the
policy beyond them.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from voiceguard.errors import StateError
from voiceguard.mqtt.home.household import percent
from voiceguard.paths import PRIVATE_FILE_MODE, is_there, make_private_dir
from voiceguard.validation.files import open_own, read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.scoring.policy import PolicyConfig

_MAX_BYTES = 64


class ArmedSwitch:
    """Whether the daemon is meant to listen, and what it was before the last restart.

    Args:
        state: The state directory.
        start: The setting ``service.start``.
    """

    def __init__(self, state: Path, start: Literal["armed", "disarmed", "as_before"]) -> None:
        self._file = state / "disarmed"
        self.is_armed = start == "armed" or (start == "as_before" and not is_there(self._file))

    def remember(self) -> None:
        """Leaves or removes the mark that says *disarmed*. Blocking."""
        try:
            if self.is_armed:
                self._file.unlink(missing_ok=True)
            else:
                make_private_dir(self._file.parent)
                os.close(open_own(self._file, PRIVATE_FILE_MODE))
        except OSError as error:
            raise StateError(
                f"cannot remember in {self._file} whether to listen: {error.strerror}",
                hint="free some disk space, or mend the permissions of that directory",
            ) from error


class PolicyChoice:
    """The policy in force.

    Args:
        state: The state directory.
        policy: As it is configured.
    """

    def __init__(self, state: Path, policy: PolicyConfig) -> None:
        self._file = state / "p_fa"
        self.policy = policy
        self.choices = policy.choices
        """The stated rate is one of them, whichever is in force."""
        if self.choices:
            self.choose(self._remembered())

    def choose(self, p_fa: float) -> bool:
        """Puts a rate in force; False where it is not one that may be chosen."""
        for each in self.choices:
            if math.isclose(each, p_fa, rel_tol=1e-6):
                self.policy = replace(self.policy, p_fa=each)
                return True
        return False

    def describe(self) -> dict[str, Any]:
        """For the status: the rate in force, and what may be chosen."""
        p_fa, choices = self.policy.p_fa, self.choices
        return {
            "p_fa": p_fa,
            "far_per_hour": self.policy.far_per_hour,
            "choice": percent(p_fa) if choices and p_fa is not None else None,
            "choices": [percent(each) for each in choices],
        }

    def remember(self) -> None:
        """Writes down what is in force. Blocking.

        Raises:
            StateError: It can't be written.
        """
        try:
            make_private_dir(self._file.parent)
            with os.fdopen(open_own(self._file, PRIVATE_FILE_MODE), "w", encoding="ascii") as file:
                file.truncate()
                file.write(f"{self.policy.p_fa!r}\n")
        except OSError as error:
            raise StateError(
                f"cannot remember in {self._file} which p_fa was chosen: {error.strerror}",
                hint="free some disk space, or mend the permissions of that directory",
            ) from error

    def _remembered(self) -> float:
        """NaN where nothing was chosen, or what was can't be read: then the stated one counts."""
        try:
            return float(read_regular(self._file, _MAX_BYTES))
        except (OSError, ValueError):
            return math.nan
