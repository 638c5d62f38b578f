"""``voiceguard run``: the daemon."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import structlog
import typer
from rich.markup import escape

from voiceguard.audio.stdin import carry_over
from voiceguard.cli.listening.words import beginning, happened, heard
from voiceguard.cli.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    PasswordFileOption,
    StateDirOption,
    UsernameOption,
    VadOption,
    broker_option,
    source_option,
)
from voiceguard.cli.output import fitted, format_llr, stderr, stdout, styled_outcome
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import sources
from voiceguard.decisions.sinks import CallbackSink, LineSink, ThreadedSink
from voiceguard.errors import ExitCode
from voiceguard.outputs import file_of
from voiceguard.service.daemon import STOP_TIMEOUT_S, Daemon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voiceguard.decisions.result import Decision
    from voiceguard.settings import Settings

log = structlog.get_logger(__name__)


def run(
    source: Annotated[
        list[str] | None,
        source_option(
            "device[:NAME], file:PATH or stdin, with NAME= before it to name the stream; "
            "may be given several times.",
            complete=sources,
        ),
    ] = None,
    broker: Annotated[
        str | None,
        broker_option("mqtt://[user@]host[:port], mqtts://..., embedded, or none."),
    ] = None,
    username: UsernameOption = None,
    password_file: PasswordFileOption = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Read files as fast as possible, not in real time.")
    ] = False,
    p_fa: Annotated[
        float | None,
        typer.Option(help="False accepts per final decision, at most 0.05.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    vad_backend: VadOption = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log everything, and show figures.")
    ] = False,
    json_lines: JsonOption = False,
) -> int:
    """Listen, decide who is speaking, and publish it.

    Runs until stopped; with nothing but files, until they have ended and their decisions are
    delivered. On a terminal it says in words whom it hears; figures and logs come with -v or in
    `voiceguard history`.
    """
    settings = configured(
        config,
        None if verbose else _told,
        state_dir=state_dir,
        model=model,
        device=device,
        vad_backend=vad_backend,
        audio={"sources": tuple(source) if source else None, "paced": False if fast else None},
        mqtt={"broker": broker, "username": username, "password_file": password_file},
        policy={"p_fa": p_fa},
    )
    teller = Teller(settings, is_verbose=verbose)
    sink = ThreadedSink(LineSink(sys.stdout) if json_lines else CallbackSink(teller.tell))
    if (file := file_of(sys.stdout)) is not None:
        file.on_failure = _say_lost

    async def serve() -> bool:
        teller.daemon = Daemon(settings, sinks=[sink], on_ready=teller.begin, can_restart=True)
        await teller.daemon.run()
        return teller.daemon.wants_restart

    wants_restart = False
    try:
        wants_restart = asyncio.run(serve())
    finally:
        if not sink.drain(STOP_TIMEOUT_S):
            sys.stdout = None  # nobody reads it, and flushing it would wait
    if wants_restart:
        _start_again()
    return ExitCode.OK  # also where what was printed got lost: it was decided, and published


def _start_again() -> NoReturn:
    """The same command in the same process, so that whoever watches over it sees no end."""
    log.info("daemon_restarting")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    carry_over()
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606  # nosec B606  # itself, anew


def _told(event: Mapping[str, Any]) -> str | None:
    said = happened(event)
    return None if said is None else fitted(said, stderr)


def _say_lost(error: OSError) -> None:
    log.warning("output_not_written", error=error.strerror)


class Teller:
    """Says on a terminal whom the daemon knows and hears."""

    daemon: Daemon

    def __init__(self, settings: Settings, *, is_verbose: bool) -> None:
        self._settings = settings
        self._is_verbose = is_verbose
        self._num_streams = len(settings.audio.sources)

    def begin(self) -> None:
        """It listens from now on."""
        if stderr.is_terminal:
            for line in beginning(self._settings, self.daemon.speakers):
                stderr.print(line, soft_wrap=True)

    def tell(self, decision: Decision) -> None:
        """A line for each stretch of speech; verbose: for provisional accepts too, with figures."""
        if self._is_verbose:
            print_figures(decision)
        elif decision.is_final:
            stream = f"{escape(decision.stream)}: " if self._num_streams > 1 else ""
            stdout.print(
                f"[dim]{decision.ended_at.astimezone():%H:%M:%S}[/]  {stream}"
                f"{heard(decision, self.daemon.speakers)}",
                soft_wrap=True,
            )


def print_figures(decision: Decision) -> None:
    """One line with the figures of a decision; provisional accepts are told apart."""
    best = decision.scores[0] if decision.scores else None
    mark = "" if decision.is_final else " [dim](so far)[/]"
    best_name = f"[dim]best: {escape(best.name)}[/]" if best else ""
    who = best_name if decision.speaker_name is None else escape(decision.speaker_name)
    figures = (
        "" if best is None else f"LLR {format_llr(best.llr)} of {format_llr(decision.accept_llr)}"
    )
    stdout.print(
        f"{decision.ended_at.astimezone():%H:%M:%S} {decision.stream} "
        f"{styled_outcome(decision.outcome)}{mark} {who} [dim]{decision.reason} {figures} "
        f"{decision.net_speech_s:.1f} s of speech[/]",
        soft_wrap=True,
    )
