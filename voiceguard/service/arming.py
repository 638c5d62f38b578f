"""Whether the daemon is meant to listen, kept over restarts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from voiceguard.errors import StateError
from voiceguard.paths import PRIVATE_FILE_MODE, is_there, make_private_dir
from voiceguard.validation.files import open_own

if TYPE_CHECKING:
    from pathlib import Path


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
