"""Functions too long to be held in the head."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.checks.sources import functions

if TYPE_CHECKING:
    from tests.checks.sources import Function, Module

MAX_CODE_LINES = 40


def long_functions(module: Module) -> list[str]:
    """``name: N lines`` of every function with more than MAX_CODE_LINES."""
    counted = ((name, code_lines(module, function)) for name, function in functions(module))
    return [f"{name}: {number} lines" for name, number in counted if number > MAX_CODE_LINES]


def code_lines(module: Module, function: Function) -> int:
    """Lines of the body that hold code: no signature, docstring, blank line or comment."""
    body = function.body
    if ast.get_docstring(function, clean=False) is not None:
        body = body[1:]
    if not body:
        return 0
    lines = module.lines[body[0].lineno - 1 : body[-1].end_lineno]
    return sum(1 for line in lines if line.strip() and not line.strip().startswith("#"))
