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
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


@dataclass(frozen=True, slots=True)
class Command:
    """One command, or a group that has options of its own."""

    where: str
    """``module:attribute`` below ``voiceguard.cli``: a function, or a ``typer.Typer``."""
    summary: str
    """The first paragraph of its docstring, in one line."""


@dataclass(frozen=True, slots=True)
class Group:
    """Commands under one name."""

    help: str
    commands: Mapping[str, Command]


Commands: TypeAlias = Mapping[str, Command | Group]


class DeferredCommand(TyperCommand):
    """Stands for a command until it is called."""

    def __init__(self, name: str, command: Command, epilog: str | None) -> None:
        super().__init__(name, help=command.summary)
        self._where = command.where
        self._epilog = epilog

    def load(self) -> Any:  # noqa: ANN401 - click's command, or that of typer's copy
        """Imports the module and makes the command that it defines."""
        module, _, attribute = self._where.partition(":")
        found = getattr(import_module(f"voiceguard.cli.{module}"), attribute)
        app = found if isinstance(found, typer.Typer) else _alone(found)
        infos: list[Any] = [app.registered_callback, *app.registered_commands]
        for info in filter(None, infos):
            info.help = unwrapped(info.callback)
        command = get_command(app)
        command.name, command.epilog = self.name, self._epilog
        return command

    def make_context(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as click has it
        """The context is that of the command itself: what is called or completed in it is real."""
        return self.load().make_context(*args, **options)


def add_commands(
    group: TyperGroup, commands: Commands, *, epilog: str | None = None, load: bool = False
) -> None:
    """Puts commands into a group.

    Args:
        group: Theirs.
        commands: By name, in the order of the help.
        epilog: Of the commands' help pages; those of inner groups have none.
        load: Import each of them now.
    """
    for name, each in commands.items():
        if isinstance(each, Command):
            deferred = DeferredCommand(name, each, epilog)
            group.add_command(deferred.load() if load else deferred, name)
            continue
        inner = get_group(typer.Typer(name=name, help=each.help, no_args_is_help=True))
        add_commands(inner, each.commands, load=load)
        group.add_command(inner, name)


def _alone(function: Callable[..., Any]) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


def unwrapped(function: Callable[..., Any]) -> str:
    """A docstring with every paragraph in one line: its breaks are the source's, not help's."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
