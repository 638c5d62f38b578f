"""Runs commands one after the other, each in a fork of one process that has imported them all.

``python -m tests.cli.forked`` reads a case per line as JSON and answers with a line. A command is a
process of its own, with its own arguments, variables and streams, as a user's is; but what takes
most of a short command's time, the imports, is done once.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, Self

import voiceguard.__main__
from voiceguard.cli import main
from voiceguard.cli.command_line import command_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_S = 120
"""A command that takes longer is killed, and its exit code is that of the alarm."""
_READ_LATER = ("VOICEGUARD_", "XDG_", "PYTEST_")
"""Variables that no import looks at."""
_IMPORTED = ("onnxruntime", "av", "soxr", "torch")
"""What commands import only once they need it. None of these starts a thread by that."""


def at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that an import may look at: those of a process that forks for a command."""
    return {name: each for name, each in environment.items() if not name.startswith(_READ_LATER)}


class Forks:
    """The process that forks, started with the first command; ended with this process.

    Args:
        environment: Its variables; None: this process's.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.environment = at_import(os.environ if environment is None else environment)
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a command with these variables would find itself in a process like its own."""
        return at_import(environment) == self.environment

    def run(
        self, argv: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """What ``voiceguard ARGV`` did, with further variables and nothing to read."""
        with tempfile.TemporaryDirectory(prefix="voiceguard-") as folder, self._lock:
            case = {
                "argv": argv,
                "environment": {**environment},
                "streams": folder,
                "cwd": str(Path.cwd()),
            }
            code = int(self._answer(json.dumps(case)))
            out, err = (
                (Path(folder) / name).read_text(errors="backslashreplace")
                for name in ("stdout", "stderr")
            )
        return subprocess.CompletedProcess(argv, code, out, err)

    def _answer(self, case: str) -> str:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.cli.forked"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=self.environment,
                cwd=Path(__file__).parents[2],
            )
            atexit.register(self.end)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(case, file=self._process.stdin, flush=True)
        return self._process.stdout.readline()


def _become(case: Any) -> NoReturn:  # noqa: ANN401  # of JSON
    signal.alarm(LONGEST_S)
    nothing, end = os.pipe()
    os.close(end)
    os.dup2(nothing, 0)
    for target, name in enumerate(("stdout", "stderr"), start=1):
        stream = os.open(f"{case['streams']}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(stream, target)
        os.close(stream)
    os.environ.update(case["environment"])
    os.chdir(case["cwd"])
    sys.argv = [str(voiceguard.__main__.__file__), *case["argv"]]
    sys.modules["__main__"] = voiceguard.__main__  # usage names the command by it
    try:
        main()
    except BaseException:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())  # a traceback is output too
        os._exit(1)


def _serve(cases: BinaryIO, answers: BinaryIO) -> None:
    command_line(load=True)
    for name in _IMPORTED:
        importlib.import_module(name)
    assert threading.active_count() == 1
    for line in cases:
        child = os.fork()
        if child == 0:
            cases.close()
            answers.close()
            _become(json.loads(line))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answers.write(b"%d\n" % code)
        answers.flush()


if __name__ == "__main__":
    # Of descriptors that no command knows: its own are 0, 1 and 2.
    _serve(os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0))
