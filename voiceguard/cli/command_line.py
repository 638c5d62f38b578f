"""The command line: one file per command; `commands.py` lists them, this one runs them.

Results go to standard output (``--json`` for machines), everything else to standard error. Every
error that a person can cause or mend ends here as two lines and an exit code, never a traceback.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, NoReturn

import typer
from typer.main import get_command

import voiceguard
from voiceguard.cli.commands import COMMANDS, SECTIONS
from voiceguard.cli.lazy import add_commands
from voiceguard.cli.output import explain
from voiceguard.cli.shell.help import HelpfulGroup
from voiceguard.errors import ExitCode, VoiceguardError, install_command
from voiceguard.outputs import file_of, forgive_standard_streams

LibraryUsageError: Any = typer.BadParameter.__base__
"""An unknown option, a missing argument. It is click's, or typer's own copy in newer versions."""

EXIT_CODES = {
    ExitCode.OK: "done, or accepted",
    ExitCode.FAILURE: "it failed; the error says why",
    ExitCode.USAGE: "a command, an option or a setting that is none",
    ExitCode.REJECTED: "rejected, or nobody who is enrolled (verify, identify)",
    ExitCode.INCONCLUSIVE: "inconclusive (verify, identify)",
    ExitCode.DEVICE: "no microphone",
    ExitCode.BROKER: "the broker refuses, or is not there",
    ExitCode.WEAK: "a weak voiceprint (enroll --strict)",
    ExitCode.INTERRUPTED: "interrupted",
}
"""What each of them means, said by ``voiceguard --help`` and on docs' page alone."""

app = typer.Typer(
    name="voiceguard",
    cls=HelpfulGroup,
    help="Who is speaking, decided while they speak.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"voiceguard {voiceguard.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version and leave.",
    ),
) -> None:
    """Holds what stands before any command."""


def command_line(*, load: bool = False) -> HelpfulGroup:
    """The command line as click has it; a command's module is imported when it is called.

    Args:
        load: Import all of them now, for who wants to see every option.
    """
    group = get_command(app)
    assert isinstance(group, HelpfulGroup)
    group.sections = {heading: list(commands) for heading, commands in SECTIONS.items()}
    group.notes = {"Exit codes": [(str(int(code)), what) for code, what in EXIT_CODES.items()]}
    add_commands(group, COMMANDS, load=load)
    return group


_TRAINS = ("torch", "torchaudio")
"""What requirements-light.txt leaves out."""


def main() -> NoReturn:
    """Runs the command line; the console script's entry point.

    Commands return their exit code. At the end the process is left without waiting for threads:
    an audio server that hangs can hold a PortAudio call, and with it the interpreter, for ever.
    """
    forgive_standard_streams()
    code: int | None
    try:
        code = _run()
    except VoiceguardError as error:
        explain(str(error), error.hint)
        code = error.exit_code
    except ModuleNotFoundError as error:
        if error.name not in _TRAINS:
            raise
        explain(
            f"this needs {error.name}, which is not installed: listening does without it, training "
            "and other people's encoders do not",
            f"run: {install_command(*_TRAINS)}",
        )
        code = ExitCode.FAILURE
    except OSError as error:
        if error.filename is None:
            raise
        # A file or directory that nothing nearer to it has words for: no bug, so no traceback.
        explain(f"{error.filename}: {error.strerror}", "mend it, or choose another place")
        code = ExitCode.FAILURE
    code = _finish(code)
    sys.stderr.flush()
    os._exit(code)


def _finish(code: int | None) -> int:
    """The exit code once the output is out: one that was decided stands, whatever became of it."""
    if sys.stdout is not None:
        sys.stdout.flush()
    file = file_of(sys.stdout)
    # `voiceguard ... | head`: nobody reads on, which is no fault
    if code is None and file and file.failure and file.failure.errno != errno.EPIPE:
        explain(f"cannot write the result: {file.failure.strerror}", "send it somewhere else")
        return ExitCode.FAILURE
    return ExitCode.OK if code is None else code


_UNREADABLE = " is not readable."


def _run() -> int | None:
    """The command's exit code, None where it has no other than done; deals with typer's errors."""
    try:
        result = command_line()(standalone_mode=False)
    except LibraryUsageError as error:
        message = error.format_message()
        if message.endswith(_UNREADABLE):  # typer looks before anybody who knows whose it is
            explain(message, "mend its permissions, or run this as the user whose it is")
            return ExitCode.FAILURE
        if message:  # else it was "no arguments", answered by the help
            command = error.ctx.command_path if error.ctx is not None else "voiceguard"
            explain(message, f"`{command} --help` shows what there is")
        return ExitCode.USAGE
    except typer.Exit as error:
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        explain("interrupted", "")
        return ExitCode.INTERRUPTED
    if result == ExitCode.INTERRUPTED:  # what typer makes of Ctrl-C
        explain("interrupted", "")
    return result if isinstance(result, int) else None
