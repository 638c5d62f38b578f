"""The microphone part of ``voiceguard enroll``: which one, what to read, when it is enough."""

from __future__ import annotations

import asyncio
import math
import sys
import termios
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from voiceguard.audio.portaudio import list_devices
from voiceguard.audio.sources import open_source, parse_source
from voiceguard.cli.output import stderr
from voiceguard.cli.people.recording import END_PAUSE_S, Meter, record_take
from voiceguard.cli.people.sentences import SENTENCES
from voiceguard.clock import SystemClock
from voiceguard.errors import DeviceError, UsageError
from voiceguard.speech.gate import SpeechGate

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from voiceguard.enrollment import TakeReport, Takes
    from voiceguard.protocols import AudioSource, VoiceActivityDetector
    from voiceguard.settings import Settings
    from voiceguard.types import Samples

TARGET_SPEECH_S = 12.0
TARGET_TAKES = 3
FURTHER_S = 6.0
"""Of speech, where what there is makes a weak voiceprint."""
MAX_TAKES = 10
"""Bad ones included; 10 takes of a sentence are less than a minute of speech."""


def _wait_for_enter() -> None:
    if sys.stdin.isatty():
        input()


def _forget_typed() -> None:
    """What was typed while nobody asked, an Enter too many say, begins no take."""
    if sys.stdin.isatty():
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What recording takes needs."""

    open_source: Callable[[], AudioSource]
    """A fresh source for every take: nothing that was said between takes gets into one."""
    make_vad: Callable[[], VoiceActivityDetector]
    settings: Settings
    sentences: tuple[str, ...] = SENTENCES["en"]
    wait_for_reader: Callable[[], None] = _wait_for_enter
    """Returns when the person is ready to read."""

    def fill(
        self,
        takes: Takes,
        label: str,
        *,
        tell: Callable[[str, TakeReport], None],
        further_s: float = 0.0,
    ) -> None:
        """Shows prompts and records takes until there is speech enough, or patience runs out.

        Args:
            takes: Gets them.
            label: Where and with what they are recorded.
            tell: Told what became of every take.
            further_s: Speech beyond what there is, where that would be enough.
        """
        enough_s = max(TARGET_SPEECH_S, takes.usable_speech_s + further_s)
        stderr.print(
            "Sit where you will usually speak. Read each sentence aloud in your normal voice; any "
            "other text or language does as well. A pause ends the take."
        )
        num_good = sum(report.is_usable for report in takes.reports)
        for _ in range(MAX_TAKES):
            stderr.print(f"\n[bold cyan]{self.sentences[num_good % len(self.sentences)]}[/]")
            _forget_typed()  # before it is asked for: an answer may come at once
            stderr.print("[dim]Press Enter and read.[/]")
            self.wait_for_reader()
            report = takes.add(self.record(), recorded_at=datetime.now(UTC), label=label)
            tell(f"take {num_good + 1}", report)
            num_good += report.is_usable  # a bad take's sentence is read again
            missing = still_missing(enough_s - takes.usable_speech_s, TARGET_TAKES - num_good)
            if not missing:
                return
            stderr.print(f"[dim]{missing}[/]")

    def record(self) -> Samples:
        """One take."""
        gate = SpeechGate(self.make_vad(), replace(self.settings.gate, hangover_s=END_PAUSE_S))
        channel = self.settings.audio.channel
        with Meter(stderr) as meter:
            return asyncio.run(record_take(self.open_source(), channel, gate, meter.show))


def still_missing(speech_s: float, num_takes: int) -> str:
    """What an enrollment wants to hear yet; empty where it is enough."""
    if speech_s > 0:
        return f"about {math.ceil(speech_s)} s of speech to go"
    return f"{num_takes} more take{'s' if num_takes > 1 else ''} to go" if num_takes > 0 else ""


def choose_microphone(
    settings: Settings, source: str | None, executor: Executor
) -> Callable[[], AudioSource]:
    """Opens the microphone that was asked for, configured, or is chosen now."""
    configured = [text for text in settings.audio.sources if parse_source(text).kind == "device"]
    spec = parse_source(source or next(iter(configured), "device"))
    if spec.kind != "device":
        raise UsageError(
            f"--source {source} is no microphone", hint="recordings are given with --from FILE"
        )
    if not spec.target:
        spec = parse_source(f"device:{_choose_device()}")
    audio = replace(settings.audio, wait_for_device=False)
    return lambda: open_source(spec, audio, executor, clock=SystemClock())


def _choose_device() -> int:
    """The only microphone, the one that is chosen, or without a terminal the default one."""
    found = list_devices()
    if not found:
        raise DeviceError(
            "no microphone: PortAudio finds no device that can record",
            hint="plug one in (`voiceguard doctor` tells more), or enroll recordings with --from",
        )
    default = next((device.index for device in found if device.is_default), found[0].index)
    if len(found) == 1 or not sys.stdin.isatty():
        return default
    for each in found:
        mark = "[bold green]*[/]" if each.index == default else " "
        stderr.print(
            f" {mark} {each.index:>2}  {escape(each.name)} [dim]{escape(each.host_api)}[/]"
        )
    known = {each.index for each in found}
    while (chosen := typer.prompt("Which microphone?", default, type=int, err=True)) not in known:
        stderr.print(f"there is no microphone {chosen}", style="red")
    return int(chosen)
