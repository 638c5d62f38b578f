"""Commands whose modules are imported when they are called, or when their own help is asked for.

A group's help and shell completion need names and a line each: those stand in ``commands.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

from voiceguard.cli.shell.help import HelpfulCommand, HelpfulGroup


@dataclass(frozen=True, slots=True)
class Command:
    """One command, or a group that has options of its own."""

    where: str
    """``module:attribute`` below ``voiceguard.cli``: a function, or a ``typer.Typer``."""
    summary: str
    """The first paragraph of its docstring, in one line."""
    takes_more: bool = False
    """Whether it hands on words that it does not know."""


@dataclass(frozen=True, slots=True)
class Group:
    """Commands under one name."""

    help: str
    commands: Mapping[str, Command]
    default: str | None = None
    """The one that it stands for where none is named."""


Commands: TypeAlias = Mapping[str, Command | Group]


class DeferredCommand(TyperCommand):
    """Stands for a command until it is called."""

    def __init__(self, name: str, command: Command) -> None:
        super().__init__(name, help=command.summary)
        self._where = command.where
        self._takes_more = command.takes_more

    def load(self) -> Any:  # noqa: ANN401 - click's command, or that of typer's copy
        """Imports the module and makes the command that it defines."""
        module, _, attribute = self._where.partition(":")
        found = getattr(import_module(f"voiceguard.cli.{module}"), attribute)
        app = (
            found if isinstance(found, typer.Typer) else _alone(found, takes_more=self._takes_more)
        )
        infos: list[Any] = [app.registered_callback, *app.registered_commands]
        for info in filter(None, infos):
            info.help = unwrapped(info.callback)
        command = get_command(app)
        command.name = self.name
        return command

    def make_context(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as click has it
        """The context is that of the command itself: what is called or completed in it is real."""
        return self.load().make_context(*args, **options)


def add_commands(group: HelpfulGroup, commands: Commands, *, load: bool = False) -> None:
    """Puts commands into a group.

    Args:
        group: Theirs.
        commands: By name, in the order of the help.
        load: Import each of them now.
    """
    for name, each in commands.items():
        if isinstance(each, Command):
            deferred = DeferredCommand(name, each)
            group.add_command(deferred.load() if load else deferred, name)
            continue
        inner = get_group(
            typer.Typer(
                name=name,
                cls=HelpfulGroup,
                help=each.help,
                no_args_is_help=each.default is None,
                add_completion=False,
            )
        )
        assert isinstance(inner, HelpfulGroup)
        inner.default = each.default
        add_commands(inner, each.commands, load=load)
        group.add_command(inner, name)


def _alone(function: Callable[..., Any], *, takes_more: bool) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    more = {"allow_extra_args": True, "ignore_unknown_options": True} if takes_more else None
    app.command(cls=HelpfulCommand, context_settings=more)(function)
    return app


def unwrapped(function: Callable[..., Any]) -> str:
    """A docstring with every paragraph in one line: its breaks are the source's, not help's."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
