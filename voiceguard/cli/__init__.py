"""The command line: one file per command; `commands.py` lists them, `command_line.py` runs them.

Results go to standard output (``--json`` for machines), everything else to standard error.
"""

from __future__ import annotations

import os
from typing import NoReturn


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
    # Before torch is loaded: its threads sleep where they wait for each other. Where others compute
    # too, they would spin a step of training away (50 s for 0.6 s, on 2 cores that 10 wanted).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from voiceguard.cli.command_line import main as run  # noqa: PLC0415 - likewise

    run()
