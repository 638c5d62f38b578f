"""The command line: one file per command; `commands.py` lists them, `command_line.py` runs them.

Results go to standard output (``--json`` for machines), everything else to standard error.
"""

from __future__ import annotations

import os
from typing import NoReturn


def calm_threads() -> None:
    """Keeps libraries from waiting in circles; before they are loaded, and unless somebody chose.

    torch's threads sleep where they wait for each other. Where others compute too, they would spin
    a step of training away (50 s for 0.6 s, on 2 cores that 10 wanted).

    numpy's products have one thread. Those here are small: a thread per core waited for the next
    one in circles, and took four times the processor's time of a daemon that hears speech.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> NoReturn:
    """The console script's entry point: runs a command, or answers a shell that completes one.

    A shell asks at every Tab, so that its answer imports nothing that takes long, typer least of
    all.
    """
    if "_VOICEGUARD_COMPLETE" in os.environ:
        from voiceguard.cli.shell.completion import answer  # noqa: PLC0415 - see above

        if (answered := answer(os.environ)) is not None:
            text, code = answered
            print(text, flush=True)
            os._exit(code)
    calm_threads()
    from voiceguard.cli.command_line import main as run  # noqa: PLC0415 - likewise

    run()
