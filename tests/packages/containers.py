"""Follows a Containerfile in folders, where no engine can: instruction by instruction.

Every stage begins with a copy of one root, in place of its image; RUN is run in it, COPY copies,
and what ENV, USER, ENTRYPOINT and CMD say is kept for running it.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from tests.packages.roots import PATH

if TYPE_CHECKING:
    from pathlib import Path

    from tests.packages.roots import Root


@dataclass(slots=True)
class Stage:
    """What the instructions have made so far."""

    root: Root
    user: str = "root"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def follow(containerfile: Path, context: Path, base: Root, folder: Path) -> Stage:
    """Builds every stage.

    Args:
        containerfile: The text.
        context: What COPY copies from.
        base: Stands for the image that every stage begins with.
        folder: Gets a folder for each stage.

    Returns:
        The last stage; the folders of the others are gone.
    """
    stages: dict[str, Stage] = {}
    stage = Stage(base)
    for word, rest in _instructions(containerfile.read_text("utf-8")):
        match word:
            case "FROM":
                name = rest.partition(" AS ")[2] or "last"
                stage = stages[name] = Stage(base.copy(folder / name))
                if name != "last":  # what is thrown away in the end may know this machine's index
                    stage.root.lend_network()
            case "RUN":
                stage.root.run("sh", "-euc", rest, has_network=True)
            case "COPY":
                _copy(stage.root, rest, context, stages)
            case _:
                _keep(stage, word, rest)
    for other in stages.values():
        if other is not stage:
            shutil.rmtree(other.root.folder)
    return stage


def run(
    stage: Stage, service: dict[str, Any], data: Path, *words: str, is_ok: bool = True
) -> subprocess.CompletedProcess[str]:
    """Runs it as the compose file's service asks: read-only, nobody, no capability, no network.

    Args:
        stage: The image.
        service: Of the compose file.
        data: The volume, which outlasts it.
        words: In place of its command.
        is_ok: Whether it must succeed.
    """
    mounts = [
        f'mount --bind "{data}" "$ROOT/data"',
        f'mount -t tmpfs tmpfs "$ROOT{service["tmpfs"]}"',
    ]
    if service["read_only"]:
        mounts[:0] = ['mount --rbind "$ROOT" "$ROOT"', 'mount -o remount,bind,ro "$ROOT"']
    rights = ["--no-new-privs"] if "no-new-privileges:true" in service["security_opt"] else []
    if service["cap_drop"] == ["ALL"]:
        rights += ["--inh-caps=-all", "--bounding-set=-all"]
    account = [f"--reuid={stage.user}", f"--regid={stage.user}", "--init-groups"]
    return stage.root.run(
        *("setpriv", *rights, *account, *stage.entrypoint, *(words or stage.command)),
        before="; ".join(mounts),
        environment={"HOME": "/nonexistent"},
        is_ok=is_ok,
    )


def gzipped_mb(root: Root) -> float:
    """What its layers take on the way, as one archive."""
    with tempfile.TemporaryFile() as archive:
        tar = ["tar", "--create", "--directory", str(root.folder), "."]
        with subprocess.Popen(tar, stdout=subprocess.PIPE) as files:
            subprocess.run(["gzip", "-6"], stdin=files.stdout, stdout=archive, check=True)
        return archive.tell() / 1e6


def _instructions(text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n?", "", text))
    lines = (line.strip() for line in joined.splitlines())
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line]


def _keep(stage: Stage, word: str, rest: str) -> None:
    """What changes no file, for those who run it."""
    match word:
        case "ENV":
            for each in shlex.split(rest):
                name, _, value = each.partition("=")
                stage.root.environment[name] = value.replace("$PATH", PATH)
        case "USER":
            stage.user = rest
        case "ENTRYPOINT":
            stage.entrypoint = yaml.safe_load(rest)
        case "CMD":
            stage.command = yaml.safe_load(rest)
        case _:
            assert word == "VOLUME", f"what does {word} do?"


def _copy(root: Root, rest: str, context: Path, stages: dict[str, Stage]) -> None:
    words = shlex.split(rest)
    options = dict(each[2:].split("=") for each in words if each.startswith("--"))
    *sources, target = [each for each in words if not each.startswith("--")]
    where = stages[options["from"]].root.folder if "from" in options else context
    for each in sources:
        source = where / each.removeprefix("/")
        if source.is_dir():
            root.bring([f"{source}/."], f"{target}/")  # what is in it
        else:
            root.bring([source], target)
    if "chown" in options:
        root.run("chown", "--recursive", options["chown"], target)
