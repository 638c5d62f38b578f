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
    from voiceguard.cli.command_line import main as run  # noqa: PLC0415 - likewise

    run()
