"""What a shell may complete, as ``voiceguard/cli/shell/completion.json``, from the command line."""

from __future__ import annotations

import json
from inspect import signature
from typing import TYPE_CHECKING, Any

from tests.docs.commands_page import commands
from voiceguard.cli.shell.spelling import about, choices, parameters

if TYPE_CHECKING:
    from tests.docs.commands_page import Command


def completion_table() -> str:
    """One object inside another, as commands are."""
    found = {command.words: _entry(command) for command in commands()}
    for words, entry in found.items():
        if words:
            found[words[:-1]].setdefault("commands", {})[words[-1]] = entry
    return json.dumps(found[()], indent=0, ensure_ascii=False, sort_keys=True) + "\n"


def _entry(command: Command) -> dict[str, Any]:
    inner = command.default and command.click.commands[command.default]
    options: dict[str, Any] = {}
    for each in [parameter for click in (command.click, inner) if click
                 for parameter in parameters(click, "option")]:  # fmt: skip
        described: dict[str, Any] = {"about": _first_sentence(about(each))}
        if not each.is_flag:
            described["values"] = choices(each) or _function(inner or command.click, each)
        options |= dict.fromkeys([*each.opts, *each.secondary_opts], described)
    options["--help"] = {"about": "Show this page."}
    arguments = [_function(command.click, each) for each in parameters(command.click, "argument")]
    summary = _first_sentence(str(command.click.help or "").partition("\n\n")[0])
    return {"about": summary, "options": options, "arguments": arguments}


def _function(click: Any, parameter: Any) -> str:  # noqa: ANN401 - click's, or typer's copy
    """The name of the function that knows its values; empty: free text, or a file."""
    declared = signature(click.callback.__wrapped__, eval_str=True).parameters.get(parameter.name)
    for each in getattr(declared and declared.annotation, "__metadata__", ()):
        if each.autocompletion is not None:
            return str(each.autocompletion.__name__)
    return ""


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".")
