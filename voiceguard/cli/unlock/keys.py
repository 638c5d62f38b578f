"""``voiceguard unlock keys`` and ``verify``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.errors import EnvelopeError
from voiceguard.paths import state_dir as find_state_dir
from voiceguard.unlock.envelope import MAX_BYTES, check_nonce
from voiceguard.unlock.keys import (
    load_signing_key,
    public_text,
    signing_key_file,
)
from voiceguard.unlock.setup import make_key
from voiceguard.unlock.verifier import read_public_key
from voiceguard.unlock.verifier import verify as verify_signature
from voiceguard.validation.files import read_regular


def keys(
    renew: Annotated[
        bool,
        typer.Option(
            "--renew", help="Make another key; every lock must then be given the new public key."
        ),
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Print the public key that locks know the daemon by; makes the key where there is none.

    The key itself stays in the state directory, mode 0600, or in a systemd credential.
    """
    settings = configured(config, state_dir=state_dir)
    state = find_state_dir(settings.state_dir)
    path = signing_key_file(state)
    public = public_text(make_key(state, renew=renew))
    if json_lines:
        print_json({"public_key": public, "key_file": str(path)})
        return
    stdout.print(public, soft_wrap=True)
    stderr.print(
        f"Give this public key to every lock. The key is {path}.", markup=False, soft_wrap=True
    )


def verify(
    file: Annotated[
        str, typer.Argument(help="The message as it came; - reads standard input.")
    ] = "-",
    public_key: Annotated[
        str | None,
        typer.Option(help="64 hexadecimal digits; default: this machine's.", show_default=False),
    ] = None,
    action: Annotated[
        str | None, typer.Option(help="Must be for this action.", show_default=False)
    ] = None,
    nonce: Annotated[
        str | None, typer.Option(help="Must answer this request.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Check an envelope: its signature and what it says. Whether it is fresh only its lock knows.

    Exits with 3 where it is refused.
    """
    settings = configured(config, state_dir=state_dir)
    if public_key is None:
        path = signing_key_file(find_state_dir(settings.state_dir))
        public_key = public_text(load_signing_key(path))
    envelope = verify_signature(_message(file), read_public_key(public_key))
    if action is not None and envelope.action != action:
        raise EnvelopeError(f"it is for the action {envelope.action!r}, not {action!r}")
    if nonce is not None and envelope.nonce != check_nonce(nonce):
        raise EnvelopeError("it answers another request")
    if json_lines:
        print_json(asdict(envelope))
        return
    for name, value in asdict(envelope).items():
        stdout.print(f"{name:14} {value}", markup=False, soft_wrap=True)


def _message(file: str) -> bytes:
    """No more of it than shows that it is too long."""
    if file == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    return read_regular(Path(file), MAX_BYTES + 1)
