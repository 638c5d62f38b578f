"""Each check finds what it is there to find, in packages made for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.checks.circles import find_circles
from tests.checks.doors import other_doors
from tests.checks.folders import MAX_AT_TOP, MAX_FILES, crowded_folders
from tests.checks.lengths import MAX_CODE_LINES, long_functions
from tests.checks.shapes import unsaid_shapes
from tests.checks.sources import read_package

REPOSITORY = Path(__file__).resolve().parents[2]


def package(folder: Path, **modules: str) -> Path:
    """A package ``made`` of these modules; ``a__b`` is module b in folder a."""
    root = folder / "made"
    for name, text in modules.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "__init__.py").touch()
    return root


@pytest.mark.parametrize(
    "back",
    [
        "from made.one import f\n",
        "import made.one\n",
        "from made import one\n",
        "from . import one\n",
        "from .one import f\n",
        "def g():\n    from made.one import f\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from made.one import f\n",
        "class C:\n    def g(self):\n        if self:\n            import made.one as m\n",
    ],
)
def test_a_circle_is_found_however_the_way_back_is_hidden(tmp_path: Path, back: str) -> None:
    root = package(tmp_path, one="from made.two import g\n", two=back, three="import made.one\n")
    assert find_circles(read_package(root)) == [["made.one", "made.two"]]


def test_a_circle_over_three_modules_is_one_group(tmp_path: Path) -> None:
    root = package(
        tmp_path,
        a="from made.sub.b import x\n",
        sub__b="def f():\n    from made.c import y\n",
        c="from made.a import z\n",
    )
    assert find_circles(read_package(root)) == [["made.a", "made.c", "made.sub.b"]]


def test_imports_that_point_one_way_are_no_circle(tmp_path: Path) -> None:
    root = package(tmp_path, a="from made.b import x\nfrom made.c import y\n", b="import made.c\n")
    assert find_circles(read_package(root)) == []


def test_a_function_one_line_too_long_is_found_and_what_is_no_code_does_not_count(
    tmp_path: Path,
) -> None:
    body = "    x = 1\n" * MAX_CODE_LINES
    head = 'def f(\n    a,\n    b,\n):\n    """Doc\n\n    doc."""\n    # why\n\n'
    root = package(tmp_path, fits=head + body, long=head + body + "    x = 2\n")
    modules = read_package(root)
    assert long_functions(modules["made.fits"]) == []
    assert long_functions(modules["made.long"]) == [f"f: {MAX_CODE_LINES + 1} lines"]


def test_an_array_function_has_to_say_shapes_if_it_is_public(tmp_path: Path) -> None:
    root = package(
        tmp_path,
        a='def bare(x: Tensor) -> None:\n    """Adds."""\n'
        'def said(x: Tensor) -> None:\n    """Adds ``(batch, frames)``."""\n'
        "def _own(x: Tensor) -> None: ...\n"
        'def plain(x: int) -> None:\n    """No array."""\n'
        "class C:\n    def bare(self) -> dict[str, NDArray[np.float32]]: ...\n",
    )
    found = unsaid_shapes(read_package(root)["made.a"])
    assert found == ["bare", "C.bare"]


def test_a_field_has_to_say_its_shape_below_it_or_in_the_class(tmp_path: Path) -> None:
    root = package(
        tmp_path,
        a='class A:\n    bare: NDArray[np.int16]\n    """Of speech."""\n'
        '    said: Tensor | None\n    """``(batch, frames)``"""\n    _own: Tensor\n'
        'class B:\n    """Two of ``(num,)``."""\n    one: Tensor\n    two: Tensor\n',
    )
    assert unsaid_shapes(read_package(root)["made.a"]) == ["A.bare"]


def test_tensors_by_name_have_the_shapes_of_their_network(tmp_path: Path) -> None:
    text = "def f(x: Mapping[str, torch.Tensor]) -> dict[str, Tensor]: ...\n"
    root = package(tmp_path, a=text, b=text.replace(": Mapping", ", y: Tensor, z: Mapping"))
    modules = read_package(root)
    assert unsaid_shapes(modules["made.a"]) == []
    assert unsaid_shapes(modules["made.b"]) == ["f"]


def test_a_docstring_that_only_refers_says_what_its_protocol_says(tmp_path: Path) -> None:
    root = package(
        tmp_path,
        a='def refers(x: Tensor) -> None:\n    """See ``Encoder.embed``."""\n'
        'def mentions(x: Tensor) -> None:\n    """Adds. See ``other``."""\n'
        "if True:\n    def bare(x: Tensor) -> None: ...\n",
    )
    assert unsaid_shapes(read_package(root)["made.a"]) == ["mentions", "bare"]


def test_a_crowded_folder_is_found(tmp_path: Path) -> None:
    names = [f"sub__m{number}" for number in range(MAX_FILES)]
    root = package(tmp_path, **dict.fromkeys(names, ""))
    (root / "sub" / "__init__.py").touch()
    assert crowded_folders(read_package(root)) == []
    (root / "sub" / "one_more.py").touch()
    assert crowded_folders(read_package(root)) == [
        f"sub: {MAX_FILES + 1} modules, at most {MAX_FILES}"
    ]


def test_a_crowded_top_is_found(tmp_path: Path) -> None:
    root = package(tmp_path, **dict.fromkeys([f"m{n}" for n in range(MAX_AT_TOP - 1)], ""))
    assert crowded_folders(read_package(root)) == []
    (root / "one_more.py").touch()
    assert crowded_folders(read_package(root)) == [
        f"made: {MAX_AT_TOP + 1} modules, at most {MAX_AT_TOP}"
    ]


def test_reading_beside_the_one_door_is_found(tmp_path: Path) -> None:
    root = package(
        tmp_path,
        sub__a="path.read_text('utf-8')\nos.open(path, 0)\npath.open('rb')\n",
        b="path.open()\npath.open(encoding='utf-8')\npath.open('wb')\nport.open(rate)\n",
    )
    modules = read_package(root)
    allowed = {"sub/a.py: os.open": "a directory", "c.py: open": "gone"}
    assert other_doors(modules, allowed) == [
        "b.py: open: files are read through validation/files.py",
        "sub/a.py: open: files are read through validation/files.py",
        "sub/a.py: read_text: files are read through validation/files.py",
        "c.py: open: allowed, and not there",
    ]


def test_make_check_runs_them_and_they_pass_here() -> None:
    assert "python -m tests.checks" in (REPOSITORY / "Makefile").read_text("utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tests.checks"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
