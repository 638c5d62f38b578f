"""The command line: one file per command group; this one puts them together.

Results go to standard output (``--json`` for machines), everything else to standard error. Every
error that a person can cause or mend ends here as two lines and an exit code, never a traceback.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import typer

from voiceguard import __version__
from voiceguard.cli import config, decide, demo, devices, doctor, history, run
from voiceguard.cli.measuring import bench, calibrate, embed, evaluate, train
from voiceguard.cli.models import commands as models
from voiceguard.cli.output import stderr
from voiceguard.cli.people import enroll, voiceprints
from voiceguard.errors import ExitCode, VoiceguardError

LibraryUsageError: Any = typer.BadParameter.__base__
"""An unknown option, a missing argument. It is click's, or typer's own copy in newer versions."""

EXIT_CODES = (
    "Exit codes: 0 accepted or done, 1 failure, 2 usage, 3 rejected or unknown, 4 inconclusive, "
    "5 device, 6 broker, 130 interrupted."
)

app = typer.Typer(
    name="voiceguard",
    help="Who is speaking, decided while they speak.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"voiceguard {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print it and leave."
    ),
) -> None:
    """Holds what stands before any command."""


COMMANDS: dict[str, Callable[..., int | None]] = {
    "enroll": enroll.enroll,
    "run": run.run,
    "verify": decide.verify,
    "identify": decide.identify,
    "embed": embed.embed,
    "history": history.history,
    "devices": devices.devices,
    "doctor": doctor.doctor,
    "demo": demo.demo,
    "evaluate": evaluate.evaluate,
    "calibrate": calibrate.calibrate,
    "cohort": calibrate.cohort,
    "train": train.train,
}
for name, command in COMMANDS.items():
    app.command(name, epilog=EXIT_CODES)(command)
app.add_typer(voiceprints.app, name="voiceprints")
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench", epilog=EXIT_CODES)
app.add_typer(config.app, name="config")


def _unwrap(group: typer.Typer) -> None:
    """Makes every docstring's paragraph one line: its line breaks are the source's, not help's."""
    infos: list[Any] = [*group.registered_commands]
    if group.registered_callback is not None and not isinstance(group.info.help, str):
        infos.append(group.registered_callback)
    for info in infos:
        paragraphs = inspect.cleandoc(info.callback.__doc__ or "").split("\n\n")
        info.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _unwrap(inner.typer_instance)


_unwrap(app)


def main() -> NoReturn:
    """Runs the command line; the console script's entry point.

    Commands return their exit code. At the end the process is left without waiting for threads:
    an audio server that hangs can hold a PortAudio call, and with it the interpreter, for ever.
    """
    code: int
    try:
        code = _run()
    except VoiceguardError as error:
        _explain(str(error), error.hint)
        code = error.exit_code
    except BrokenPipeError:  # `voiceguard ... | head`: nobody reads on, which is no fault
        code = ExitCode.OK
        sys.stdout = None  # what is left in it goes nowhere
    except OSError as error:
        if error.filename is None:
            raise
        # A file or directory that nothing nearer to it has words for: no bug, so no traceback.
        _explain(f"{error.filename}: {error.strerror}", "mend it, or choose another place")
        code = ExitCode.FAILURE
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.flush()
    os._exit(code)


def _run() -> int:
    """The command's exit code; what typer raises is dealt with."""
    try:
        result = app(standalone_mode=False)
    except LibraryUsageError as error:
        if message := error.format_message():  # else it was "no arguments", answered by the help
            command = error.ctx.command_path if error.ctx is not None else "voiceguard"
            _explain(message, f"`{command} --help` shows what there is")
        return ExitCode.USAGE
    except typer.Exit as error:
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _explain("interrupted", "")
        return ExitCode.INTERRUPTED
    if result == ExitCode.INTERRUPTED:  # what typer makes of Ctrl-C
        _explain("interrupted", "")
    return result if isinstance(result, int) else ExitCode.OK


def _explain(message: str, hint: str) -> None:
    stderr.print("[bold red]error:[/]", end=" ")
    stderr.print(message, markup=False, soft_wrap=True)
    if hint:
        stderr.print("[bold]hint:[/]", end=" ")
        stderr.print(hint, markup=False, soft_wrap=True)
