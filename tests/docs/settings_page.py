"""The page of all settings, from the settings classes themselves."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import types
from enum import Enum
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel

from voiceguard.mqtt.config import default_node_id
from voiceguard.settings import Settings
from voiceguard.validation.ranges import Between

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUIRED = object()
"""In place of a default."""

HEAD = """\
# Settings

Settings come from a TOML file, then `VOICEGUARD_*` variables, then the command line; later beats
earlier. The file is the one that `--config` or `VOICEGUARD_CONFIG` names, else
`~/.config/voiceguard/voiceguard.toml`, else `/etc/voiceguard/voiceguard.toml`. An empty file, or
none, means the defaults below. Unknown keys and misspelt variables are errors.

    VOICEGUARD_POLICY__P_FA=0.001 voiceguard run     # table and key, joined by two underscores
    voiceguard config show                           # what is in force
    voiceguard config check                          # reads everything as the daemon would

`config/voiceguard.toml` in the repository lists all of it as a file to copy from; every
installation carries it as `voiceguard/service/defaults/voiceguard.toml` in its site-packages.

This page is made from the settings classes by `make docs`.
"""


def settings_page() -> str:
    """The page in Markdown."""
    parts = [HEAD]
    plain = {name: each for name, each in _fields(Settings) if not _is_table(each.kind)}
    if plain:
        parts.append("## At the top\n\nBefore the first table.\n\n" + _table(plain.items()))
    for name, each in _fields(Settings):
        if _is_table(each.kind):
            about = inspect.cleandoc(each.kind.__doc__ or "").partition("\n")[0]
            about = about.replace(f", the [{name}] table of voiceguard.toml", "")
            rows = _table(_fields(each.kind))
            parts.append(f"## [{name}]\n\n{about}\n\n{rows}")
            parts += [*_tables_within(name, each.kind), *_named_tables(name, each.kind)]
    return "\n".join(parts)


def _named_tables(name: str, table: type) -> Iterator[str]:
    """Tables that people name, within one of ours."""
    for key, each in _fields(table):
        if get_origin(each.kind) is dict:
            inner = get_args(each.kind)[1]
            about = inspect.cleandoc(inner.__doc__ or "").partition(", a table [")[0]
            yield f"## [{name}.{key}.NAME]\n\n{about}.\n\n{_table(_fields(inner))}"


def _tables_within(name: str, table: type) -> Iterator[str]:
    """Of those that may be given several times, each under its own brackets."""
    for key, each in _fields(table):
        kinds = () if get_origin(each.kind) is dict else get_args(each.kind)
        (row,) = [kind for kind in kinds if _is_table(kind)] or (None,)
        if row is not None:
            about = inspect.cleandoc(row.__doc__ or "").partition("\n")[0]
            about = about.partition(", a [[")[0].rstrip(".") + "."
            yield f"## [[{name}.{key}]]\n\n{about}\n\n{_table(_fields(row))}"


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting, as its class states it."""

    kind: Any
    """Its type, annotations stripped."""
    default: Any
    about: str
    limits: Between | None


def _fields(table: type) -> Iterator[tuple[str, Setting]]:
    said = _docstrings(table)
    hints = get_type_hints(table, include_extras=True)
    for name in _names(table):
        kind, limits = _stripped(hints[name])
        yield name, Setting(kind, _default(table, name), said.get(name, ""), limits)


def _names(table: type) -> list[str]:
    if issubclass(table, BaseModel):
        return list(table.model_fields)
    return [each.name for each in dataclasses.fields(table)]  # type: ignore[arg-type]


def _default(table: type, name: str) -> Any:  # noqa: ANN401 - whatever the setting holds
    if issubclass(table, BaseModel):
        return table.model_fields[name].get_default(call_default_factory=True)
    stated = next(each for each in dataclasses.fields(table) if each.name == name)  # type: ignore[arg-type]
    if stated.default is not dataclasses.MISSING:
        return stated.default
    made = stated.default_factory
    return REQUIRED if made is dataclasses.MISSING else made()


def _docstrings(table: type) -> dict[str, str]:
    """The string below each field."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(table))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    found[field.target.id] = " ".join(text.split()).replace("``", "`")
    return found


def _stripped(hint: Any) -> tuple[Any, Between | None]:  # noqa: ANN401 - a type
    if get_origin(hint) is Annotated:
        kind, *marks = get_args(hint)
        return kind, next((each for each in marks if isinstance(each, Between)), None)
    return hint, None


def _is_table(kind: Any) -> bool:  # noqa: ANN401 - a type
    return dataclasses.is_dataclass(kind)


def _table(settings: Any) -> str:  # noqa: ANN401 - pairs
    lines = ["| setting | default | value | meaning |", "|---|---|---|---|"]
    for name, each in settings:
        value = _escaped(_value(each))
        is_node = each.default == default_node_id()
        default = "this machine's name, and more" if is_node else _toml(each.default)
        default = "must be given" if each.default is REQUIRED else default
        lines.append(f"| `{name}` | {default} | {value} | {_escaped(each.about)} |")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _toml(value: Any) -> str:  # noqa: ANN401 - a default
    if value is None:
        return "none"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, tuple):
        value = list(value)
    return f"`{json.dumps(value, default=str)}`"


def _value(setting: Setting) -> str:
    return f"{_word(setting.kind)}{'' if setting.limits is None else f', {setting.limits}'}"


def _word(kind: Any) -> str:  # noqa: ANN401 - a type
    words = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}
    if kind in words:
        return words[kind]
    if get_origin(kind) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(kind))
    if get_origin(kind) in {Union, types.UnionType}:
        return " or ".join(_word(each) for each in get_args(kind) if each is not types.NoneType)
    if get_origin(kind) is tuple:
        return f"list of {_word(get_args(kind)[0])}"
    if get_origin(kind) is dict or _is_table(kind):
        return "table"
    return ", ".join(f"`{each.value}`" for each in kind)
