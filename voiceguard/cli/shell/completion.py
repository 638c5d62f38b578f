"""Answers a shell that completes a command line, without typer and without the commands.

``completion.json`` beside this file says which commands, options and kinds of value there are; it
is made from the command line itself by `make docs`, and a test holds it current. The scripts that
ask are typer's (`voiceguard --install-completion`), and so are the forms of the answers.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from voiceguard.cli.shell.values import VALUES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TABLE = Path(__file__).with_name("completion.json")

Candidates: TypeAlias = list[tuple[str, str]]
"""What may stand there, and a line about it."""


def answer(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """What to print for the shell, and the exit code; None: only typer knows what it asks for.

    Args:
        environ: Holds the question, as the shell's script puts it.
    """
    asked = environ["_VOICEGUARD_COMPLETE"]
    if asked == "complete_bash":
        return _for_bash(_split(environ.get("COMP_WORDS", "")), environ.get("COMP_CWORD", "0")), 0
    line = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    incomplete = words.pop() if words and not line.endswith(" ") else ""
    if asked == "complete_zsh":
        return _for_zsh(_candidates(words, incomplete)), 0
    if asked == "complete_fish":
        found = _candidates(words, incomplete)
        if environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
            return "", 0 if found else 1  # 1: files
        return "\n".join(f"{value}\t{about}".rstrip() for value, about in found), 0
    return None


def _candidates(words: Sequence[str], incomplete: str) -> Candidates:
    """What may follow these words, ``voiceguard`` not among them; nothing: files, perhaps."""
    command: Any = json.loads(TABLE.read_text("utf-8"))
    awaited: Any = None
    num_arguments = 0
    for number, word in enumerate(words):
        if awaited is not None:
            awaited = None
        elif word.startswith("-"):
            awaited = command["options"].get(word, {}).get("values")
            _take_state_dir(word, words[number + 1 :])
        elif word in command.get("commands", {}):
            command, num_arguments = command["commands"][word], 0
        else:
            num_arguments += 1
    if awaited is not None:
        return _values(awaited, incomplete)
    if incomplete.startswith("-"):
        return _starting(incomplete, command["options"])
    arguments = command.get("arguments", [])
    here = arguments[min(num_arguments, len(arguments) - 1)] if arguments else ""
    return [*_starting(incomplete, command.get("commands", {})), *_values(here, incomplete)]


def _starting(incomplete: str, named: Mapping[str, Any]) -> Candidates:
    return [(name, each["about"]) for name, each in named.items() if name.startswith(incomplete)]


def _values(kind: str | Sequence[str], incomplete: str) -> Candidates:
    """Of a kind that `values.py` knows, or the choices themselves."""
    if isinstance(kind, str):
        found: Sequence[str] = VALUES[kind](incomplete) if kind in VALUES else []
    else:
        found = [each for each in kind if each.startswith(incomplete)]
    return [(each, "") for each in found]


def _take_state_dir(option: str, following: Sequence[str]) -> None:
    """People and encoders are looked for where the command will look."""
    variables = {"--state-dir": "VOICEGUARD_STATE_DIR", "--config": "VOICEGUARD_CONFIG"}
    if option in variables and following:
        os.environ[variables[option]] = following[0]


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quotation that is still open
        return line.split()


def _for_bash(words: list[str], cursor: str) -> str:
    """One value a line. Bash takes ``device:usb`` for three words, and wants the end of the last.

    Args:
        words: The line's, ``voiceguard`` the first.
        cursor: The number of the word that is being completed.
    """
    at = int(cursor)
    before, incomplete = words[1:at], "".join(words[at : at + 1])
    if incomplete in {":", "="}:
        before, incomplete = [*before, incomplete], ""
    known = ""
    while before and before[-1] in {":", "="}:
        mark, word = before.pop(), before.pop() if before else ""
        if mark == "=":  # --source=device: the option and its value
            before.append(word)
            break
        known = f"{word}:{known}"
    found = [value for value, _ in _candidates(before, known + incomplete)]
    return "\n".join(value.removeprefix(known).replace(" ", "\\ ") for value in found)


def _for_zsh(candidates: Candidates) -> str:
    if not candidates:
        return "_files"
    rows = [
        f'"{_quoted(value)}"' + (f':"{_quoted(about)}"' if about else "")
        for value, about in candidates
    ]
    return "_arguments '*: :((" + "\n".join(rows) + "))'"


def _quoted(text: str) -> str:
    for mark, instead in (('"', '""'), ("'", "''"), ("$", "\\$"), ("`", "\\`"), (":", r"\\:")):
        text = text.replace(mark, instead)
    return text
