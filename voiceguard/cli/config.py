"""``voiceguard config``: what is in force, and whether a file is right."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voiceguard.cli.options import ConfigOption, JsonOption
from voiceguard.cli.output import print_json, stderr, stdout
from voiceguard.cli.shell.values import settings_in
from voiceguard.errors import UsageError
from voiceguard.paths import find_config_file
from voiceguard.service.checks.names import check_named
from voiceguard.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator


def show(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SETTING",
            help="Only these settings or tables: policy.p_fa, mqtt.",
            autocompletion=settings_in,
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Every setting as it is in force: file, environment and defaults taken together."""
    values = load_settings(config).model_dump(mode="json")
    if wanted:
        _show_some(values, wanted, json_lines=json_lines)
        return
    if json_lines:
        print_json(values)
        return
    stdout.print(f"# file: {find_config_file(config) or 'none; built-in defaults'}", markup=False)
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in values.items() if isinstance(value, dict)}
    for key, value in plain.items():
        stdout.print(f"{key} = {_toml(value)}", markup=False)
    for name, table in tables.items():
        _show_table(name, table)


def _show_table(name: str, table: dict[str, Any]) -> None:
    """Its settings, then the tables in it: those by number, those by name."""
    stdout.print(f"\n[{name}]", markup=False)
    rows = {key: value for key, value in table.items() if _are_tables(value)}
    named = {key: value for key, value in table.items() if isinstance(value, dict) and value}
    for key, value in table.items():
        if key not in rows and key not in named:
            line = f"# {key} =" if value is None else f"{key} = {_toml(value)}"
            stdout.print(line, markup=False, soft_wrap=True)
    for key, several in rows.items():
        for row in several:
            stdout.print(f"\n[[{name}.{key}]]", markup=False)
            for inner, value in row.items():
                stdout.print(f"{inner} = {_toml(value)}", markup=False, soft_wrap=True)
    for key, tables in named.items():
        for each, values in tables.items():
            _show_table(f"{name}.{key}.{each}", values)


def _show_some(values: dict[str, Any], wanted: list[str], *, json_lines: bool) -> None:
    """One line each, ``table.setting = value``, in the order that they were asked for.

    Raises:
        UsageError: One is no setting.
    """
    flat = dict(_flat(values))
    found: dict[str, Any] = {}
    for each in wanted:
        inside = {key: value for key, value in flat.items() if key.startswith(f"{each}.")}
        if each not in flat and not inside:
            close = difflib.get_close_matches(each, flat, n=1)
            raise UsageError(
                f"there is no setting {each!r}" + (f"; did you mean {close[0]}?" if close else ""),
                hint="`voiceguard config show` lists every setting",
            )
        found |= inside or {each: flat[each]}
    if json_lines:
        print_json(found)
        return
    for key, value in found.items():
        line = f"# {key} =" if value is None else f"{key} = {_toml(value)}"
        stdout.print(line, markup=False, soft_wrap=True)


def _flat(table: dict[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their whole names, those of tables in tables as well."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{within}{key}.")
        else:
            yield f"{within}{key}", value


def check(
    file: Annotated[
        Path | None, typer.Argument(help="The file; as --config.", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Say whether a configuration is right, and what is wrong with it.

    Without a file: the one in force.
    """
    if file is not None and config is not None:
        raise UsageError("the file is given twice", hint="leave --config or the argument out")
    chosen = file or config
    settings = load_settings(chosen)
    check_named(settings)
    stderr.print(
        f"{find_config_file(chosen) or 'built-in defaults'}: all settings are right",
        markup=False,
        soft_wrap=True,
    )


def _are_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(each, dict) for each in value)


def _toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    if isinstance(value, dict):
        inside = ", ".join(f"{key} = {_toml(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return str(value)
