"""Plain data (parsed JSON) to strict frozen dataclasses and back: the one way there is.

pydantic does the work, imported when something is read, and its texts stay inside: what is
wrong is said in our words. Strict means: nothing unknown, nothing missing, no text for a
number, no fraction for a whole number. What a dataclass checks itself (``__post_init__``) holds.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import DataclassInstance
    from pydantic import TypeAdapter

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ReadBy:
    """``Annotated[Features, ReadBy(read_features)]``: a field that a function of ours reads."""

    function: Callable[[Any], object]
    """From plain values; raises ValueError."""

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> Any:  # noqa: ANN401
        """What pydantic asks an annotation for."""
        from pydantic_core import core_schema  # noqa: PLC0415 - only where something is read

        return core_schema.no_info_plain_validator_function(self.function)


def read(kind: type[_T], values: object) -> _T:
    """A dataclass out of plain values.

    Args:
        kind: A dataclass; its fields may be dataclasses, tuples of them, enumerations, ...
        values: What ``plain`` makes of one, or what stands in a JSON document.

    Raises:
        ValueError: Something is missing, unknown, of the wrong kind, or impossible.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - 0.1 s, only where something is read

    try:  # through JSON, where pydantic is strict and still takes an array for a tuple
        document = json.dumps(values, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("it holds something else than plain values") from error
    adapter: TypeAdapter[_T] = _adapter(kind)  # type: ignore[arg-type] # mypy: no class is hashable
    try:
        return adapter.validate_json(document, strict=True, extra="forbid")
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise ValueError("; ".join(_sentence(fault, kind) for fault in faults)) from error


def read_rows(kind: type[_T], values: object) -> tuple[_T, ...]:
    """A list of tables, each read by ``read``; raises likewise."""
    if not isinstance(values, list):
        raise ValueError("it must be a list")  # noqa: TRY004 - of a document, not a caller
    return tuple(read(kind, row) for row in values)


def plain(value: DataclassInstance) -> dict[str, Any]:
    """A dataclass as JSON has it: tables, lists, texts, numbers, true and false, null."""
    return asdict(value, dict_factory=_listed)


def expected(fault: Mapping[str, Any]) -> str | None:
    """What a fault of a ``ValidationError`` lacked, after "must be"; None: the message says it."""
    kind = str(fault["type"])
    if kind in {"enum", "literal_error"}:
        return str(fault["ctx"]["expected"])
    if kind == "value_error":
        return None
    return _EXPECTED.get(kind.split("_", maxsplit=1)[0], "something else")


_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "a text",
    "tuple": "a list",
    "dict": "a table",
    "dataclass": "a table",
    "path": "a path",
    "datetime": "a time (ISO 8601)",
}


def _sentence(fault: Mapping[str, Any], kind: Any) -> str:  # noqa: ANN401 - a dataclass
    """One fault in words of ours: "rates.0 must be a number, not 'x'"."""
    where = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"{where} is missing"
    if fault["type"] == "unexpected_keyword_argument":
        known = ", ".join(each.name for each in fields(kind))
        return f"{where} is unknown" + (f"; known are {known}" if len(fault["loc"]) == 1 else "")
    if fault["type"] == "too_long":
        return f"{where} must have {fault['ctx']['max_length']} entries"
    if (what := expected(fault)) is None:
        reason = str(fault["ctx"]["error"])
        return f"{where}: {reason}" if where else reason
    return f"{where or 'it'} must be {what}, not {shortened(fault['input'])}"


def shortened(value: object) -> str:
    """A value as an error shows it, on one line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # a line of an error


def _listed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: _as_list(value) for name, value in pairs}


def _as_list(value: object) -> object:
    return [_as_list(each) for each in value] if isinstance(value, list | tuple) else value


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a dataclass
    from pydantic import TypeAdapter  # noqa: PLC0415 - as above

    return TypeAdapter(kind)
