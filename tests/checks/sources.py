"""The package's modules, parsed once for every check."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One source file."""

    name: str
    """Dotted; a package's is the folder's."""
    path: Path
    lines: tuple[str, ...]
    tree: ast.Module


def read_package(package: Path) -> dict[str, Module]:
    """Every module of a package, by its dotted name.

    Args:
        package: Its folder; the last part is the package's name.
    """
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text("utf-8")
        modules[name] = Module(
            name=name, path=path, lines=tuple(text.splitlines()), tree=ast.parse(text)
        )
    return modules


def functions(module: Module) -> Iterator[tuple[str, Function]]:
    """Functions and methods with their qualified names; none that stands in a function."""
    for name, node in _definitions(module.tree, ""):
        if isinstance(node, Function):
            yield name, node


def public_classes(module: Module) -> Iterator[tuple[str, ast.ClassDef]]:
    """Classes with their qualified names, without those of a leading underscore."""
    for name, node in _definitions(module.tree, ""):
        if isinstance(node, ast.ClassDef) and not any(p.startswith("_") for p in name.split(".")):
            yield name, node


def _definitions(node: ast.AST, within: str) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Those of a branch, of ``try`` and the like too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            yield f"{within}{child.name}", child
        if isinstance(child, ast.ClassDef):
            yield from _definitions(child, f"{within}{child.name}.")
        elif isinstance(child, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _definitions(child, within)
