"""The page of all commands, from the command line itself."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from voiceguard.cli.command_line import EXIT_CODES, command_line
from voiceguard.cli.shell.spelling import about, argument, form, parameters, usage

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = f"""\
# Commands

Most take `--json`: results go to standard output, logs and errors to standard error.
**Exit codes**: {"; ".join(f"{int(code)} {what}" for code, what in EXIT_CODES.items())}.
`voiceguard --install-completion` sets up the shell's completion: of commands and
options, of people, encoders, microphones and settings.

This page is made from the command line itself by `make docs`.
"""

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
        return not self.is_group or bool(self.click.invoke_without_command or self.default)

    @property
    def default(self) -> str | None:
        """The command inside that a group alone means."""
        found: str | None = getattr(self.click, "default", None) if self.is_group else None
        return found

    @property
    def options(self) -> dict[str, bool]:
        """Every spelling, and whether a value follows it."""
        found = {"--help": False}
        for each in parameters(self.click, "option"):
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
    arguments = parameters(command.click, "argument")
    heading = "#" * (1 + len(command.words))
    parts = [
        f"{heading} {' '.join(command.words)}",
        f"    {usage(' '.join(['voiceguard', *command.words]), command.click)}",
        _plain(command.click.help or ""),
    ]
    options = _options(command)
    rows = [Row(f"`{argument(each)}`", _about(each)) for each in arguments]
    rows += [row for row in options if row not in shared]
    if rows:
        parts.append(_table(rows).rstrip())
    if names := [row.name.partition(",")[0].partition(" ")[0] for row in options if row in shared]:
        parts.append(f"{'And' if rows else 'Options:'} {', '.join(names)}.")
    return "\n\n".join(parts) + "\n"


def _options(command: Command) -> list[Row]:
    return [Row(_spelling(each), _about(each)) for each in parameters(command.click, "option")]


def _table(rows: list[Row]) -> str:
    lines = [f"| {_escaped(row.name)} | {_escaped(row.about)} |" for row in rows]
    return "\n".join(["| what | meaning |", "|---|---|", *lines, ""])


def _spelling(option: Any) -> str:  # noqa: ANN401
    names = ", ".join(f"`{each}`" for each in [*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} `{form(option)}`"


def _about(parameter: Any) -> str:  # noqa: ANN401
    return _plain(about(parameter))


def _plain(text: str) -> str:
    """Without rich's markup; what could be taken for HTML is code."""
    text = re.sub(r"\[/?(bold|dim|italic|green|red|yellow)?\]", "", text)
    return text.replace("<", "&lt;")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
