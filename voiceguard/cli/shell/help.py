"""Help pages: plain lines that fit any window, the same with every version of typer.

No frames, no word broken, what stands for a value in capitals, flags without one; the options that
many commands share come last.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from voiceguard.cli.output import stdout
from voiceguard.cli.shell.spelling import about, argument, form, parameters, usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

WIDEST = 100
"""Longer lines are hard to read, however wide the window."""
NARROW = 60
"""In a window this narrow, descriptions stand below what they describe."""
NAMES = 26
"""The widest column of names: the description of a longer one begins a line below."""

SHARED = {"--config", "--state-dir", "--model", "--device", "--vad-backend", "--json"}
"""Options of many commands, which nobody looks for first."""


class HelpfulCommand(TyperCommand):
    """A command with such a page."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002  # click's
        """Prints the page; typer asks for it to be written elsewhere, and prints itself too."""
        _show(_head(self, ctx))
        _show(_own_options(self))


class HelpfulGroup(TyperGroup):
    """A group of commands with such a page."""

    sections: Mapping[str, Sequence[str]] = {}
    """Names of its commands under headings; without: under one."""
    notes: Mapping[str, Sequence[tuple[str, str]]] = {}
    """What stands below them under further headings."""
    default: str | None = None
    """The command that it stands for where none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """``voiceguard models --json`` is ``voiceguard models list --json``."""
        if self.default and "--help" not in args[:1] and not (args and args[0][:1] != "-"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002
        """As of a command, with the commands that are in it."""
        _show(_head(self, ctx))
        for heading, names in (self.sections or {"Commands": list(self.commands)}).items():
            rows = [(name, self._about(name)) for name in names]
            _show(_section(heading, rows, _column(self.commands)))
        _show(_own_options(self))
        for heading, lines in self.notes.items():
            _show(_section(heading, lines, max(len(name) for name, _ in lines)))

    def _about(self, name: str) -> str:
        summary = str(self.commands[name].help).partition("\n\n")[0]
        return f"{summary} What `{self.name}` alone does." if name == self.default else summary


def _show(lines: Iterable[Text]) -> None:
    for line in lines:
        stdout.print(line, soft_wrap=True)


def _width() -> int:
    return max(min(stdout.width, WIDEST), 1)


def _head(command: Any, ctx: Any) -> Iterator[Text]:  # noqa: ANN401
    path = str(ctx.command_path).replace("python -m voiceguard", "voiceguard")
    first, *others = _wrapped(usage(path, command), _width() - 7)
    yield Text.assemble(("Usage: ", "bold"), first)
    yield from (Text(" " * 7 + line) for line in others)
    for paragraph in str(command.help or "").split("\n\n"):
        yield Text()
        yield from map(Text, _wrapped(" ".join(paragraph.split()), _width()))


def _own_options(command: Any) -> Iterator[Text]:  # noqa: ANN401
    arguments = [(argument(each), about(each)) for each in parameters(command, "argument")]
    options = parameters(command, "option")
    own = [each for each in options if each.opts[0] not in SHARED]
    shared = [_row(each) for each in options if each.opts[0] in SHARED]
    rows = [_row(each) for each in own]
    if getattr(command, "name", None) == "voiceguard":
        rows.append(("--install-completion", "Let this shell complete commands, names, settings."))
    (shared if shared or not rows else rows).append(("--help", "Show this page."))
    column = _column(name for name, _ in (*arguments, *rows, *shared))
    yield from _section("Arguments", arguments, column)
    if rows:
        yield from _section("Options", rows, column)
    yield from _section("Common options" if rows else "Options", shared, column)


def _row(option: Any) -> tuple[str, str]:  # noqa: ANN401
    names = ", ".join(sorted(option.opts, key=len))
    if option.secondary_opts:
        names += " / " + ", ".join(option.secondary_opts)
    return f"{names} {form(option)}".rstrip(), about(option)


def _column(names: Iterable[str]) -> int:
    return max((len(name) for name in names if len(name) <= NAMES), default=0)


def _section(heading: str, rows: Iterable[tuple[str, str]], column: int) -> Iterator[Text]:
    """A heading and its rows: a name, and beside or below it what it is."""
    rows = list(rows)
    if not rows:
        return
    is_narrow = _width() < NARROW
    indent = 6 if is_narrow else column + 4
    yield Text()
    yield Text(heading, style="bold")
    for name, description in rows:
        lines = _wrapped(description, _width() - indent)
        if is_narrow or len(name) > column:
            yield from (Text("  " + line, style="cyan") for line in _wrapped(name, _width() - 2))
        else:
            first = lines.pop(0) if lines else ""
            yield Text.assemble("  ", (name.ljust(column), "cyan"), "  ", first)
        yield from (Text(" " * indent + line) for line in lines)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of whole words; one that is longer than the window stands alone."""
    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)
