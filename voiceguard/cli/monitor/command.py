"""``voiceguard monitor``: the daemon on a full screen."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceguard.cli.monitor.app import MonitorApp
from voiceguard.cli.monitor.watching import OwnDaemon, is_running
from voiceguard.cli.options import ConfigOption, ModelOption, StateDirOption, source_option
from voiceguard.cli.output import stderr
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import sources
from voiceguard.errors import StateError, UsageError
from voiceguard.paths import state_dir as settled_state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.pilot import Pilot

PICTURE_SIZE = (80, 24)


def monitor(
    source: Annotated[
        list[str] | None,
        source_option(
            "Of a daemon of its own, where none is running: as of `voiceguard run`.",
            complete=sources,
        ),
    ] = None,
    screenshot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg",
            help="Draw 80 by 24 characters without a terminal, and leave.",
            show_default=False,
        ),
    ] = None,
    after_s: Annotated[
        float,
        typer.Option("--after", min=0, max=3600, help="Seconds to watch before the screenshot."),
    ] = 5.0,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    model: ModelOption = None,
) -> None:
    """Watch what the daemon hears, on a full screen: levels, who it is as they speak, decisions.

    Beside a running daemon; where there is none it starts one for as long as you look. Keys: q
    leaves, a stops or starts listening, r reads voiceprints anew, w says why.
    """
    settings = configured(config, state_dir=state_dir, model=model)
    state = settled_state_dir(settings.state_dir)
    if screenshot is None and not sys.stdout.isatty():
        raise UsageError(
            "the monitor needs a terminal, and standard output is none",
            hint="`voiceguard status`, `voiceguard run --json`, or --screenshot FILE.svg",
        )
    arguments = _for_run(source, config, state_dir, model)
    with _daemon(state, arguments, is_asked_for=bool(source)):
        app = MonitorApp(state)
        if screenshot is None:
            app.run()
        else:
            _draw(app, screenshot, after_s)


def _draw(app: MonitorApp, path: Path, after_s: float) -> None:
    async def watch(pilot: Pilot[object]) -> None:
        await pilot.pause(after_s)
        app.draw()
        await pilot.pause()
        drawn.append(app.export_screenshot())
        app.exit()

    drawn: list[str] = []
    app.run(headless=True, size=PICTURE_SIZE, auto_pilot=watch)
    try:
        path.write_text(drawn[0], encoding="utf-8")
    except OSError as error:
        raise StateError(
            f"cannot write {path}: {error.strerror}", hint="choose another place"
        ) from error


def _for_run(
    source: list[str] | None, config: Path | None, state_dir: str | Path | None, model: str | None
) -> list[str]:
    given = {"--config": config, "--state-dir": state_dir, "--model": model}
    options = [f"{name}={value}" for name, value in given.items() if value is not None]
    return [*options, *(f"--source={each}" for each in source or ())]


@contextlib.contextmanager
def _daemon(state: Path, arguments: list[str], *, is_asked_for: bool) -> Iterator[None]:
    """The one that is running, or one of our own."""
    if is_running(state):
        if is_asked_for:
            raise UsageError(
                f"a daemon is running on {state} already, with its own sources",
                hint="leave --source out to watch it, or stop it first",
            )
        yield
        return
    if stderr.is_terminal:
        stderr.print("No daemon is running: starting one ...", style="dim")
    own = OwnDaemon(state, arguments)
    try:
        own.wait()
        yield
    finally:
        own.stop()
