"""The page of all commands, from the command line itself."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from voiceguard.cli import EXIT_CODES, command_line

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = f"""\
# Commands

Most take `--json`: results go to standard output, logs and errors to standard error.
{EXIT_CODES.replace("Exit codes:", "**Exit codes**:")}
`voiceguard --install-completion` sets up the shell's completion.

This page is made from the command line itself by `make docs`.
"""

FORMS = {"Path": "PATH", "int": "N", "float": "NUMBER", "str": "TEXT"}


SHARED_BY = 6
"""Options that so many commands have in the same words are described once."""


class Row(NamedTuple):
    """An argument or option, and what it is for."""

    name: str
    about: str


@dataclass(frozen=True)
class Command:
    """One command that can be called."""

    words: tuple[str, ...]
    """Without ``voiceguard``; empty for what stands before any command."""
    click: Any
    """Click's, or typer's own copy of it."""
    is_group: bool

    @property
    def is_callable(self) -> bool:
        """Whether it does something without another word."""
        return not self.is_group or bool(self.click.invoke_without_command)

    @property
    def options(self) -> dict[str, bool]:
        """Every spelling, and whether a value follows it."""
        found = {"--help": False}
        for each in _parameters(self.click, "option"):
            takes_value = not each.is_flag
            found |= dict.fromkeys([*each.opts, *each.secondary_opts], takes_value)
        return found


def commands() -> list[Command]:
    """All of them, groups before what is inside, in the order of ``--help``."""
    return list(_walk(command_line(load=True), (), None))


def _walk(click: Any, words: tuple[str, ...], parent: Any) -> Iterator[Command]:  # noqa: ANN401
    names = getattr(click, "list_commands", None)
    yield Command(words, click, is_group=names is not None)
    if names is None:
        return
    context = click.context_class(
        click, info_name=words[-1] if words else "voiceguard", parent=parent
    )
    for name in names(context):
        yield from _walk(click.get_command(context, name), (*words, name), context)


def commands_page() -> str:
    """The page in Markdown."""
    called = [command for command in commands() if command.words]
    rows = Counter(row for command in called for row in _options(command))
    shared = [row for row, number in rows.items() if number >= SHARED_BY]
    common = "## Options of many commands\n\n" + _table(shared)
    glance = _table([_glance(command) for command in called if command.is_callable])
    return "\n".join([HEAD, glance, common, *(_section(command, shared) for command in called)])


def _glance(command: Command) -> Row:
    """The command, linked to its section, and the first sentence about it."""
    name = " ".join(command.words)
    first = _plain(command.click.help or "").partition("\n\n")[0]
    return Row(f"[{name}](#{name.replace(' ', '-')})", first)


def _section(command: Command, shared: list[Row]) -> str:
    arguments = _parameters(command.click, "argument")
    usage = " ".join(["voiceguard", *command.words, "[OPTIONS]", *map(_argument, arguments)])
    if not command.is_callable:
        usage = " ".join(["voiceguard", *command.words, "COMMAND"])
    heading = "#" * (1 + len(command.words))
    parts = [
        f"{heading} {' '.join(command.words)}",
        f"    {usage}",
        _plain(command.click.help or ""),
    ]
    options = _options(command)
    rows = [Row(f"`{_argument(each)}`", _about(each)) for each in arguments]
    rows += [row for row in options if row not in shared]
    if rows:
        parts.append(_table(rows).rstrip())
    if names := [row.name.partition(",")[0].partition(" ")[0] for row in options if row in shared]:
        parts.append(f"{'And' if rows else 'Options:'} {', '.join(names)}.")
    return "\n\n".join(parts) + "\n"


def _options(command: Command) -> list[Row]:
    return [Row(_spelling(each), _about(each)) for each in _parameters(command.click, "option")]


def _table(rows: list[Row]) -> str:
    lines = [f"| {_escaped(row.name)} | {_escaped(row.about)} |" for row in rows]
    return "\n".join(["| what | meaning |", "|---|---|", *lines, ""])


def _parameters(click: Any, kind: str) -> list[Any]:  # noqa: ANN401
    hidden = {"--help", "--install-completion", "--show-completion"}
    return [
        each
        for each in click.params
        if each.param_type_name == kind
        and not getattr(each, "hidden", False)
        and not hidden & set(each.opts)
    ]


def _argument(parameter: Any) -> str:  # noqa: ANN401
    word = str(parameter.metavar or parameter.name.upper()).strip("[]").removesuffix("...")
    word = word.strip("[]")
    word += "..." if parameter.nargs == -1 else ""
    return word if parameter.required else f"[{word}]"


def _spelling(option: Any) -> str:  # noqa: ANN401
    names = ", ".join(f"`{each}`" for each in [*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} `{_form(option)}`"


def _form(option: Any) -> str:  # noqa: ANN401
    """What stands for the value."""
    if option.metavar:
        return str(option.metavar)
    kind = str(getattr(getattr(option, "type_descriptor", None), "annotation", None) or option.type)
    return next((word for name, word in FORMS.items() if name.lower() in kind.lower()), "TEXT")


def _about(parameter: Any) -> str:  # noqa: ANN401
    about = _plain(parameter.help or "")
    is_switch = getattr(parameter, "is_flag", True)
    if not is_switch and parameter.show_default and parameter.default not in {None, ""}:
        about += f" Default: `{parameter.default}`."
    return about


def _plain(text: str) -> str:
    """Without rich's markup; what could be taken for HTML is code."""
    text = re.sub(r"\[/?(bold|dim|italic|green|red|yellow)?\]", "", text)
    return text.replace("<", "&lt;")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
