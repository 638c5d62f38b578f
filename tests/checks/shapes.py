"""Public functions and fields of arrays whose docstring doesn't say the arrays' shapes."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.checks.sources import functions, public_classes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.checks.sources import Function, Module

_ARRAYS = re.compile(r"\b(NDArray|Tensor|ndarray)\b")
"""``types.Samples`` and ``types.Embedding`` have one shape each, which their own docstrings say."""

_SHAPE = re.compile(r"``\(\s*\.{0,3}[\w\s,.*/+|-]*,?\s*\)``|\b[Aa]ny shape\b")
_STATE = re.compile(r"\b(dict|Mapping)\[str, (torch\.)?Tensor\]")
"""A network's tensors by name have the shapes that the network gives them."""

_REFERENCE = re.compile(r"\ASee (``|:)")
"""An adapter's method that repeats what its protocol says, and nothing else."""


def unsaid_shapes(module: Module) -> list[str]:
    """Names of public functions, methods and fields with arrays of unsaid shape."""
    of_functions = [
        name
        for name, function in functions(module)
        if _is_public(name)
        and any(map(_has_arrays, _annotations(function)))
        and not _says_shapes(function)
    ]
    return [*of_functions, *_fields(module)]


def _fields(module: Module) -> Iterator[str]:
    """A field's docstring stands below it, or the class's own tells of all of them."""
    for name, node in public_classes(module):
        if _SHAPE.search(ast.get_docstring(node) or ""):
            continue
        for field, below in pairwise([*node.body, ast.Pass()]):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            if field.target.id.startswith("_") or not _has_arrays(field.annotation):
                continue
            if not _SHAPE.search(_text(below)):
                yield f"{name}.{field.target.id}"


def _text(node: ast.stmt) -> str:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return str(node.value.value) if is_text else ""  # type: ignore[attr-defined]


def _is_public(name: str) -> bool:
    return not any(part.startswith("_") and part != "__call__" for part in name.split("."))


def _has_arrays(annotation: ast.expr) -> bool:
    return bool(_ARRAYS.search(_STATE.sub("", ast.unparse(annotation))))


def _annotations(function: Function) -> Iterator[ast.expr]:
    every = (
        *function.args.posonlyargs,
        *function.args.args,
        *function.args.kwonlyargs,
        function.args.vararg,
        function.args.kwarg,
    )
    yield from (each.annotation for each in every if each and each.annotation)
    if function.returns:
        yield function.returns


def _says_shapes(function: Function) -> bool:
    text = ast.get_docstring(function) or ""
    return bool(_SHAPE.search(text) or _REFERENCE.search(text))
