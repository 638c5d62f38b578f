"""Which files of the documentation are generated, and how."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.commands_page import commands_page
from tests.docs.completion_table import completion_table
from tests.docs.settings_page import settings_page
from voiceguard.cli.shell.completion import TABLE

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
README = REPOSITORY / "README.md"

PAGES = {
    DOCS / "settings.md": settings_page,
    DOCS / "commands.md": commands_page,
    TABLE: completion_table,
}

_SCENE = re.compile(r"(?<=```text\n).*?(?=\n```)", re.DOTALL)
"""README's picture: its one block of plain text."""


def write_pages() -> None:
    """The pages that come of the source alone: the same everywhere, in a second."""
    for path, page in PAGES.items():
        path.write_text(page(), encoding="utf-8")


def write_pictures() -> None:
    """What a run over the demo's scene shows, and Home Assistant's page of us."""
    from tests.docs.entities_picture import entities_svg  # noqa: PLC0415
    from tests.docs.monitor_picture import monitor_svg  # noqa: PLC0415
    from tests.docs.scene_picture import scene_svg  # noqa: PLC0415 - needs matplotlib
    from tests.docs.scene_run import run_scene  # noqa: PLC0415 - needs torch
    from tests.docs.scene_text import scene_text  # noqa: PLC0415

    run = run_scene()
    folder = DOCS / "pictures"
    folder.mkdir(exist_ok=True)
    (folder / "scene.svg").write_text(scene_svg(run), encoding="utf-8")
    (folder / "entities.svg").write_text(entities_svg(), encoding="utf-8")
    (folder / "monitor.svg").write_text(monitor_svg(), encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    readme = _SCENE.sub(lambda _: scene_text(run), readme, count=1)
    README.write_text(readme, encoding="utf-8")


def scene_in_readme() -> str:
    """The picture as README has it."""
    found = _SCENE.search(README.read_text(encoding="utf-8"))
    assert found is not None, "README has no block of plain text"
    return found[0]
