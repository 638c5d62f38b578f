"""The part of ``voiceguard enroll --source proxy:NAME``: a person's next turns with the assistant.

The running daemon hears them (:mod:`voiceguard.wyoming`) and hands each over on its control socket;
everything else is as with a microphone.
"""

from __future__ import annotations

import base64
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape

from voiceguard.cli.output import stderr
from voiceguard.cli.people.microphone import (
    MAX_TAKES,
    TARGET_SPEECH_S,
    TARGET_TAKES,
    still_missing,
)
from voiceguard.control.client import ControlClient
from voiceguard.errors import EnrollmentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voiceguard.enrollment import TakeReport, Takes
    from voiceguard.types import Samples

PREFIX = "proxy:"
PATIENCE_S = 120.0
"""For the next turn."""


class ProxyStudio:
    """Takes from the turns of one room.

    Args:
        source: ``proxy:NAME``.
        state: The running daemon's state directory.
        sentences: To say.

    Raises:
        StateError: No daemon is running, or it has no such proxy.
        UsageError: There is no name.
    """

    def __init__(self, source: str, state: Path, sentences: tuple[str, ...]) -> None:
        self._room = source.removeprefix(PREFIX)
        if not self._room:
            raise UsageError("--source proxy: needs the proxy's name", hint="proxy:kitchen, say")
        self._sentences = sentences
        self._daemon = ControlClient(state)
        self._daemon.call("turns", stream=self._room)

    def fill(
        self,
        takes: Takes,
        label: str,
        *,
        tell: Callable[[str, TakeReport], None],
        further_s: float = 0.0,
    ) -> None:
        """Shows sentences and takes turns, as ``microphone.Studio.fill``."""
        enough_s = max(TARGET_SPEECH_S, takes.usable_speech_s + further_s)
        stderr.print(
            f"Wake the assistant in [bold]{escape(self._room)}[/] and say each sentence to it, "
            "from where you usually speak; what it answers does not matter."
        )
        num_good = sum(report.is_usable for report in takes.reports)
        for _ in range(MAX_TAKES):
            stderr.print(f"\n[bold cyan]{self._sentences[num_good % len(self._sentences)]}[/]")
            report = takes.add(
                self.next_turn(), recorded_at=datetime.now(UTC), label=label or self._room
            )
            tell(f"take {num_good + 1}", report)
            num_good += report.is_usable
            missing = still_missing(enough_s - takes.usable_speech_s, TARGET_TAKES - num_good)
            if not missing:
                return
            stderr.print(f"[dim]{missing}[/]")

    def next_turn(self) -> Samples:
        """``(num_samples,)`` mono 16 kHz float32: what is said in the next turn.

        Raises:
            EnrollmentError: There is none within PATIENCE_S.
            StateError: The daemon has gone.
        """
        with stderr.status("waiting for the next turn"):
            while (event := self._daemon.next_event(PATIENCE_S)) is not None:
                if event["event"] == "turn":
                    pcm = np.frombuffer(base64.b64decode(event["audio"]), dtype="<i2")
                    return (pcm / np.float32(32768.0)).astype(np.float32)
        raise EnrollmentError(
            f"nobody has spoken to {self._room} for {math.ceil(PATIENCE_S)} s",
            hint="does that room's assistant use this proxy as its speech-to-text? "
            "`voiceguard status --json` counts its turns",
        )

    def close(self) -> None:
        """Leaves the daemon."""
        self._daemon.close()
