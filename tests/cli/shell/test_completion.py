"""What a shell is told at Tab: commands, options and the values that there are, at once."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pinned.product import STATE
from voiceguard.cli.shell.completion import answer
from voiceguard.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

MOST_S = 0.3
"""Of this processor's own time: what else runs on the machine is no fault of ours."""


def complete(line: str) -> list[str]:
    """What Bash is told; the words are split as Bash splits them."""
    words = re.findall(r"[:=]|[^\s:=]+", line)
    incomplete = [] if line.endswith(" ") else [words.pop()]
    question = {
        "_VOICEGUARD_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join([*words, *incomplete]),
        "COMP_CWORD": str(len(words)),
    }
    answered = answer(question)
    assert answered is not None
    return answered[0].splitlines()


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("VOICEGUARD_STATE_DIR", str(STATE))


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("voiceguard ", {"run", "enroll", "models", "history"}),
        ("voiceguard mod", {"models"}),
        ("voiceguard models ", {"list", "use", "pull"}),
        ("voiceguard models --j", {"--json"}),
        ("voiceguard run --bro", {"--broker"}),
        ("voiceguard verify a", {"ada"}),
        ("voiceguard voiceprints show ", {"ada", "ben", "cleo", "dora", "eve"}),
        ("voiceguard voiceprints export ada b", {"ben"}),
        ("voiceguard history --speaker ", {"ada", "ben"}),
        ("voiceguard history --outcome inc", {"inconclusive"}),
        ("voiceguard models use ", {"default", "ecapa-c320", "small"}),
        ("voiceguard models remove ", {"small"}),
        ("voiceguard models pull camp", {"campplus", "campplus-zh-en"}),
        ("voiceguard verify --model sm", {"small"}),
        ("voiceguard run --source d", {"device"}),
        ("voiceguard run --source=st", {"stdin"}),
        ("voiceguard run --broker mq", {"mqtt", "mqtts"}),
        ("voiceguard config show policy.p_", {"policy.p_fa", "policy.p_miss"}),
    ],
)
def test_bash_is_told_what_there_is(line: str, some: set[str]) -> None:
    found = complete(line)
    assert some <= {each.removesuffix("://") for each in found}
    word = re.split(r"[\s:=]", line)[-1]
    assert all(each.startswith(word) for each in found)


def test_every_setting_is_completed() -> None:
    settings = Settings.model_construct().model_dump()
    names = {
        f"{table}.{name}" if isinstance(values, dict) else table
        for table, values in settings.items()
        for name in (values if isinstance(values, dict) else [""])
    }
    assert names <= set(complete("voiceguard config show "))


def test_people_are_those_of_the_state_directory_on_the_line(tmp_path: Path) -> None:
    assert complete(f"voiceguard voiceprints show --state-dir {tmp_path} ") == []


def test_a_file_is_left_to_the_shell() -> None:
    assert complete("voiceguard run --config ") == []
    assert complete("voiceguard identify ") == []


def test_zsh_and_fish_are_told_what_each_is_for() -> None:
    question = {"_TYPER_COMPLETE_ARGS": "voiceguard models us"}
    zsh = answer({**question, "_VOICEGUARD_COMPLETE": "complete_zsh"})
    assert zsh is not None
    assert zsh[0].startswith('_arguments \'*: :(("use":"Make the daemon')
    fish = {**question, "_VOICEGUARD_COMPLETE": "complete_fish"}
    told = answer({**fish, "_TYPER_COMPLETE_FISH_ACTION": "get-args"})
    assert told is not None
    assert told[0].startswith("use\tMake the daemon")
    nothing = {"_TYPER_COMPLETE_ARGS": "voiceguard identify x"}
    is_args = {"_VOICEGUARD_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "is-args"}
    assert answer({**nothing, **is_args}) == ("", 1)


@pytest.mark.parametrize("line", ["voiceguard models use ", "voiceguard voiceprints show "])
def test_the_answer_comes_at_once_and_imports_nothing_slow(line: str) -> None:
    question = {
        "_VOICEGUARD_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split())),
    }
    command = [sys.executable, "-X", "importtime", "-m", "voiceguard"]
    before = os.times()
    done = subprocess.run(
        command, capture_output=True, check=True, text=True, env={**os.environ, **question}
    )
    after = os.times()
    spent_s = sum(after[2:4]) - sum(before[2:4])
    imported = set(re.findall(r"^import time:[^|]*\|[^|]*\| *(\w+)", done.stderr, re.MULTILINE))
    assert done.stdout.split()
    assert not imported & {"typer", "rich", "numpy", "torch", "pydantic", "sounddevice"}
    assert spent_s < MOST_S


def test_an_installed_script_asks_in_the_form_that_is_answered(tmp_path: Path) -> None:
    """Bash itself, with typer's script."""
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from voiceguard.cli import main; sys.argv = ['voiceguard']; main()",
        ],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "_VOICEGUARD_COMPLETE": "source_bash"},
    )
    assert "complete_bash" in shown.stdout, shown
    program = tmp_path / "voiceguard"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m voiceguard "$@"\n')
    program.chmod(0o755)
    script = shown.stdout + (
        "COMP_WORDS=(voiceguard models use sm); COMP_CWORD=3\n"
        f"_voiceguard_completion {program}\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["small"], done.stderr


@pytest.mark.parametrize("content", [None, "a = " + "[" * 100_000, "\x00\xff"])
def test_a_configuration_that_is_none_holds_no_shell(tmp_path: Path, content: str | None) -> None:
    """A FIFO, brackets without an end, no text: Tab answers at once, with what there is."""
    file = tmp_path / "voiceguard" / "voiceguard.toml"
    file.parent.mkdir()
    if content is None:
        os.mkfifo(file)
    else:
        file.write_text(content, "latin-1")
    assert complete("voiceguard verify a") == ["ada"]
