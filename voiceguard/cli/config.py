"""``voiceguard config``: what is in force, and whether a file is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voiceguard.audio.sources import parse_sources
from voiceguard.cli.options import ConfigOption, JsonOption
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.settings import find_config_file, load_settings


def show(config: ConfigOption = None, json_lines: JsonOption = False) -> None:
    """Every setting as it is in force: file, environment and defaults taken together."""
    settings = load_settings(config)
    values = settings.model_dump(mode="json")
    if json_lines:
        print_json(values)
        return
    stdout.print(f"# file: {find_config_file(config) or 'none; built-in defaults'}", markup=False)
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in values.items() if isinstance(value, dict)}
    for key, value in plain.items():
        stdout.print(f"{key} = {_toml(value)}", markup=False)
    for name, table in tables.items():
        stdout.print(f"\n[{name}]", markup=False)
        for key, value in table.items():
            line = f"# {key} =" if value is None else f"{key} = {_toml(value)}"
            stdout.print(line, markup=False, soft_wrap=True)


def check(
    file: Annotated[
        Path | None, typer.Argument(help="The file; default: the one in force.")
    ] = None,
) -> None:
    """Say whether a configuration is right, and what is wrong with it."""
    parse_sources(load_settings(file).audio.sources)
    stderr.print(f"{find_config_file(file) or 'built-in defaults'}: all settings are right")


def _toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return str(value)
