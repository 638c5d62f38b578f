"""Import circles, those that import-linter's layers cannot see included.

An import inside a function or under ``TYPE_CHECKING`` runs late or never, but a reader needs it as
much as any other: two modules that name each other are one module in two files.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.checks.sources import Module


def find_circles(modules: Mapping[str, Module]) -> list[list[str]]:
    """Groups of modules that reach each other, each sorted; empty: there is no circle.

    Source: R. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Computing 1, 1972.
    """
    graph = {name: sorted(set(_imports(module, modules))) for name, module in modules.items()}
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    circles = []

    def visit(name: str) -> None:
        index[name] = lowest[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], index[other])
        if lowest[name] == index[name]:
            at = stack.index(name)
            if len(group := stack[at:]) > 1:
                circles.append(sorted(group))
            del stack[at:]

    for name in graph:
        if name not in index:
            visit(name)
    return circles


def _imports(module: Module, modules: Mapping[str, Module]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, module)
            # What is imported may be a module or something inside one.
            inside = [f"{source}.{alias.name}" for alias in node.names]
            named = [name if name in modules else source for name in inside]
        else:
            continue
        yield from (name for name in named if name in modules and name != module.name)


def _source(node: ast.ImportFrom, module: Module) -> str:
    """The dotted name after ``from``; the dots of a relative import count from the module."""
    if not node.level:
        return node.module or ""
    parents = module.name.split(".")
    is_package = module.path.name == "__init__.py"
    parents = parents[: len(parents) - node.level + is_package]
    return ".".join([*parents, *([node.module] if node.module else [])])
