"""How a command, its arguments and its options are written for people: in help and on docs' page.

A command or parameter is click's, or that of typer's own copy of click.
"""

from __future__ import annotations

from typing import Any

FORMS = {"Path": "PATH", "int": "N", "float": "NUMBER"}
"""What stands for a value by its type; TEXT for any other."""

HIDDEN = {"--help", "--install-completion", "--show-completion"}


def parameters(command: Any, kind: str) -> list[Any]:  # noqa: ANN401
    """The arguments or options of a command, without those that every command has.

    Args:
        command: Theirs.
        kind: "argument" or "option".
    """
    return [
        each
        for each in command.params
        if each.param_type_name == kind
        and not getattr(each, "hidden", False)
        and not HIDDEN & set(each.opts)
    ]


def argument(parameter: Any) -> str:  # noqa: ANN401
    """``NAME``, ``[NAME]`` where it may be left out, ``NAME...`` where several may be given."""
    word = str(parameter.metavar or parameter.name.upper()).replace("[", "").replace("]", "")
    word = word.removesuffix("...") + ("..." if parameter.nargs == -1 else "")
    return word if parameter.required else f"[{word}]"


def usage(path: str, command: Any) -> str:  # noqa: ANN401
    """``voiceguard verify [OPTION]... NAME FILE``.

    Args:
        path: Of the command: "voiceguard verify".
        command: What the words after it are of.
    """
    parts = [path]
    if getattr(command, "commands", None) is not None:
        can_stand_alone = command.invoke_without_command or getattr(command, "default", None)
        parts.append("[COMMAND]" if can_stand_alone else "COMMAND")
    needed = [each for each in parameters(command, "option") if each.required]
    parts += [f"{each.opts[0]} {form(each)}" for each in needed]
    if len(needed) < len(parameters(command, "option")):
        parts.append("[OPTION]...")
    return " ".join([*parts, *map(argument, parameters(command, "argument"))])


def form(option: Any) -> str:  # noqa: ANN401
    """What stands for an option's value; empty for a flag."""
    if option.is_flag:
        return ""
    if option.metavar:
        return str(option.metavar)
    if there_are := choices(option):
        return "|".join(there_are)
    kind = str(getattr(getattr(option, "type_descriptor", None), "annotation", None) or option.type)
    return next((word for name, word in FORMS.items() if name.lower() in kind.lower()), "TEXT")


def choices(option: Any) -> list[str]:  # noqa: ANN401
    """The only values that it may have; empty: it may have others."""
    described = getattr(option, "type_descriptor", None) or option.type
    only = getattr(described, "choices", None) or ()
    return [str(getattr(each, "value", each)) for each in only]


def about(parameter: Any) -> str:  # noqa: ANN401
    """Its help, and what it is where it is not given."""
    text = str(parameter.help or "")
    is_switch = getattr(parameter, "is_flag", parameter.param_type_name == "argument")
    if not is_switch and parameter.show_default and parameter.default not in {None, ""}:
        default = parameter.default
        text += f" Default: {getattr(default, 'value', default)}."
    return text
