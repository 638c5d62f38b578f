"""Runs commands one after the other, each in a fork of one process that has imported them all.

``python -m tests.cli.forked`` reads a case per line as JSON (``argv``, ``environment``) and answers
with a line: the exit code and whatever was printed. A command costs milliseconds, so that many can
be tried.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, NoReturn, Self

from voiceguard.cli import main
from voiceguard.cli.command_line import command_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_S = 20
"""A command that takes longer is killed, and its exit code is that of the alarm."""


class Forks:
    """The process that forks; a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name if __spec__ else __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, argv: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        """The command's exit code, and its standard output and error in one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(
            json.dumps({"argv": argv, "environment": environment}),
            file=self._process.stdin,
            flush=True,
        )
        answer = json.loads(self._process.stdout.readline())
        return answer["code"], answer["said"]


def _become(case: Any, output: int) -> NoReturn:  # noqa: ANN401  # of JSON
    signal.alarm(LONGEST_S)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((nothing, output, output)):
        os.dup2(source, target)
    os.environ.update(case["environment"])
    sys.argv = ["voiceguard", *case["argv"]]
    try:
        main()
    except BaseException:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())  # a traceback is output too
        os._exit(1)


def _serve() -> None:
    command_line(load=True)
    for line in sys.stdin:
        case = json.loads(line)
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                _become(case, output.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            said = output.read().decode(errors="backslashreplace")
        print(json.dumps({"code": code, "said": said}), flush=True)


if __name__ == "__main__":
    _serve()
