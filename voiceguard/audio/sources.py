"""Which sources a command line or configuration names, and how each is opened."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from voiceguard.audio import stdin
from voiceguard.audio.config import AudioConfig
from voiceguard.audio.files import AudioFile
from voiceguard.audio.microphone import Microphone
from voiceguard.audio.stdin import StandardInput
from voiceguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    from voiceguard.clock import Clock
    from voiceguard.protocols import AudioSource

__all__ = ["AudioConfig", "SourceSpec", "open_source", "parse_source", "parse_sources"]

MAX_NAME = 32
HINT = (
    'write "device", "device:NAME", "file:PATH" or "stdin", with "NAME=" before it to name the '
    'stream: "kitchen=device:USB"'
)
_SPEC = re.compile(r"(?:(?P<name>[^=:]*)=)?(?P<kind>[a-z]+)(?::(?P<target>.*))?", re.DOTALL)
_NAME = re.compile(r"[a-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """One source, as asked for."""

    name: str
    """The stream's name, ``[a-z0-9_-]{1,32}``: goes into topics."""
    kind: Literal["device", "file", "stdin"]
    target: str
    """The device's name, number or "" for the default one; the file's path; "" for stdin."""
    is_named: bool
    """Whether the name was given, not derived."""


def parse_source(text: str) -> SourceSpec:
    """Reads ``[name=]device[:name or number]``, ``[name=]file:path`` or ``[name=]stdin``.

    Raises:
        UsageError: It is none of these, or the name is not one.
    """
    match = _SPEC.fullmatch(text.strip())
    kind = match["kind"] if match else ""
    target = (match["target"] or "").strip() if match else ""
    name = match["name"] if match else None
    if name is not None and not _NAME.fullmatch(name):
        raise UsageError(
            f'the stream\'s name "{name}" in source "{text}" is not 1 to {MAX_NAME} of a-z, 0-9, '
            "_ and -",
            hint=HINT,
        )
    if kind == "device":
        default = _derived(target, "microphone")
        return SourceSpec(name=name or default, kind="device", target=target, is_named=bool(name))
    if kind == "file" and target:
        default = _derived(Path(target).stem, "file")
        return SourceSpec(name=name or default, kind="file", target=target, is_named=bool(name))
    if kind == "stdin" and not target:
        return SourceSpec(name=name or "stdin", kind="stdin", target="", is_named=bool(name))
    hint = f'did you mean "file:{text}"? ' if os.path.exists(text) else ""  # noqa: PTH110  # never raises
    raise UsageError(f'"{text}" is not an audio source', hint=hint + HINT)


def parse_sources(texts: Iterable[str]) -> tuple[SourceSpec, ...]:
    """Reads several sources; derived names that collide are numbered.

    Raises:
        UsageError: One is malformed, a given name comes twice, or stdin does.
    """
    specs = [parse_source(text) for text in texts]
    if sum(spec.kind == "stdin" for spec in specs) > 1:
        raise UsageError("standard input can be only one source", hint="name it once")
    taken: set[str] = set()
    for spec in specs:
        if spec.is_named and spec.name in taken:
            raise UsageError(
                f'two sources are called "{spec.name}"', hint="give each stream its own name"
            )
        if spec.is_named:
            taken.add(spec.name)
    named = []
    for spec in specs:
        name = spec.name
        number = 1
        while not spec.is_named and name in taken:
            number += 1
            suffix = f"-{number}"
            name = spec.name[: MAX_NAME - len(suffix)] + suffix
        taken.add(name)
        named.append(
            SourceSpec(name=name, kind=spec.kind, target=spec.target, is_named=spec.is_named)
        )
    return tuple(named)


def open_source(
    spec: SourceSpec, config: AudioConfig, io_executor: Executor, *, clock: Clock
) -> AudioSource:
    """Makes the source; devices and files are touched when its events are asked for.

    Args:
        spec: From ``parse_source``.
        config: The [audio] table.
        io_executor: For whatever blocks. A microphone may hold up one thread while its audio
            server hangs: give it as many threads as there are sources, and some.
        clock: Time.
    """
    if spec.kind == "device":
        device = int(spec.target) if spec.target.isdecimal() else spec.target or None
        return Microphone(spec.name, device, config, io_executor, clock=clock)
    if spec.kind == "file":
        path = Path(spec.target).expanduser()
        return AudioFile(spec.name, path, io_executor, paced=config.paced, clock=clock)
    taken = stdin.OF_PROCESS
    return StandardInput(spec.name, config, io_executor, clock=clock, taken=taken)


def _derived(text: str, otherwise: str) -> str:
    name = re.sub(r"[^a-z0-9_]+", "-", text.casefold()).strip("-")[:MAX_NAME].strip("-")
    return name or otherwise
