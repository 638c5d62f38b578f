"""README and the pages name what there is: commands, options, modules, targets, files, headings."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.docs.commands_page import Command, commands
from tests.docs.generated import README, REPOSITORY
from tests.docs.texts import WRITTEN, calls, shell_lines, spans
from voiceguard.lab.training.recipe import recipe

if TYPE_CHECKING:
    from pathlib import Path

MAX_README_LINES = 150

COMMANDS = {command.words: command for command in commands()}

_FILE = re.compile(
    r"(?<![\w/.])(?:docs|config|systemd|packaging|voiceguard|tests)/[\w./-]*\w\.\w+"
    r"|(?<![\w/.])(?:CHANGELOG|CONTRIBUTING|README)\.md"
)
_ELSEWHERE = {"voiceguard/voiceguard.toml"}
"""Ends of paths outside of the repository."""


def _ids(path: Path) -> str:
    return path.name


def test_readme_is_a_page() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= MAX_README_LINES


def test_readme_has_no_relative_link() -> None:
    """A package index shows it far from the files beside it."""
    text = README.read_text("utf-8")
    assert not re.findall(r"\]\((?!https://)", text)
    assert not re.findall(r"<img|<a |^\[[^]]+\]:(?! https://)", text, re.MULTILINE)


@pytest.mark.parametrize("path", WRITTEN, ids=_ids)
def test_every_command_that_is_named_exists_with_its_options(path: Path) -> None:
    for words in calls(path):
        command, rest = _resolved(words)
        _check_options(command, rest, " ".join(words))


@pytest.mark.parametrize("path", WRITTEN, ids=_ids)
def test_a_command_named_for_short_exists_with_its_options(path: Path) -> None:
    """``enroll --add``: without voiceguard before it."""
    tops = {words[0] for words in COMMANDS if words}
    for span in spans(path):
        words = span.split()
        if words[0] in tops and any(word.startswith("--") for word in words):
            command, rest = _resolved(words)
            _check_options(command, rest, span)


@pytest.mark.parametrize("path", WRITTEN, ids=_ids)
def test_every_recipe_of_a_training_is_one(path: Path) -> None:
    """What stands after ``--set``: names, values, and whether they go together."""
    for words in calls(path):
        if words[0] == "train":
            given = [(option, value) for option, value in pairwise(words) if option.startswith("-")]
            changes = [value for option, value in given if option == "--set"]
            recipe(
                [each for each in changes if each != "NAME=VALUE"], tuned=dict(given).get("--tune")
            )


def _resolved(words: list[str]) -> tuple[Command, list[str]]:
    """The command, and what follows it."""
    command = COMMANDS[()]
    for number, word in enumerate(words):
        if not command.is_group or word.startswith("-"):
            return command, words[number:]
        named = COMMANDS.get((*command.words, word))
        if named is None:  # a group that can be called itself
            assert number, f"there is no command {word!r}"
            return command, words[number:]
        command = named
    return command, []


def _check_options(command: Command, rest: list[str], line: str) -> None:
    options = command.options
    takes_value = False
    for word in rest:
        if not takes_value and re.match(r"--?[a-z]", word):
            name = word.partition("=")[0]
            assert name in options, f"`{line}`: {' '.join(command.words)} has no {name}"
            takes_value = options[name] and "=" not in word
        else:
            takes_value = False


@pytest.mark.parametrize("path", WRITTEN, ids=_ids)
def test_every_module_that_is_run_exists(path: Path) -> None:
    for line in shell_lines(path):
        for module in re.findall(r"python3? -m ((?:tests|voiceguard)[\w.]*)", line):
            assert importlib.util.find_spec(module) is not None, f"there is no {module}"


@pytest.mark.parametrize("path", WRITTEN, ids=_ids)
def test_every_make_target_that_is_named_exists(path: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for line in shell_lines(path):
        found = re.match(r"(?:sudo )?make ([a-z-]+)(?: |$)", line.strip())
        assert found is None or found[1] in targets, line


@pytest.mark.parametrize("path", [*WRITTEN, REPOSITORY / "CHANGELOG.md"], ids=_ids)
def test_every_file_that_is_named_exists(path: Path) -> None:
    named = set(_FILE.findall(path.read_text("utf-8"))) - _ELSEWHERE
    missing = [name for name in sorted(named) if not _is_there(name)]
    assert not missing


def _is_there(name: str) -> bool:
    shipped = REPOSITORY / "voiceguard" / "service"  # .../site-packages/voiceguard/service/units
    return (REPOSITORY / name).exists() or (shipped / name).exists()


def test_what_the_program_says_about_the_documentation_is_there() -> None:
    """``see docs/encoders.md, "Describe one"``: the file, and the heading in it."""
    for module in (REPOSITORY / "voiceguard").rglob("*.py"):
        source = module.read_text("utf-8")
        assert "see README" not in source, module
        for name, heading in re.findall(r'(docs/[\w-]+\.md)(?:, "([^"]+)")?', source):
            text = (REPOSITORY / name).read_text("utf-8")
            assert not heading or re.search(rf"^#+ {re.escape(heading)}$", text, re.MULTILINE)


def test_the_layers_are_told_as_they_are_checked() -> None:
    """docs/design.md against the contract in pyproject.toml."""
    checked = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    (contract,) = checked["tool"]["importlinter"]["contracts"]
    layers = [set(layer.split(" | ")) for layer in reversed(contract["layers"])]
    text = (REPOSITORY / "docs" / "design.md").read_text("utf-8")
    told = re.search(r"import-linter checks it: (.*?)\.\s", text, re.DOTALL)
    assert told is not None
    assert [set(re.findall(r"\w+", each)) for each in told[1].split("<-")] == layers[:-1]
