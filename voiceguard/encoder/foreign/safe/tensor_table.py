"""The table of a ``state_dict``: a pickle whose instructions are read, not carried out.

In: the instructions. Out: names, plain values, and records of where a tensor lies. Those that make
text, numbers, tuples and tables are followed on a stack of our own; the two names of functions that
put a tensor together stand for a record of storage, offset, shape and strides; any other
instruction or name is refused. No function is called, and nothing is imported.

Source: pickletools, and torch/_utils.py (``_rebuild_tensor_v2``).
"""

from __future__ import annotations

import math
import pickletools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_VALUES = 2**31
MAX_SIDES = 8

_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
_TENSOR = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
_TABLE = "collections OrderedDict"
_KNOWN = frozenset({_TENSOR, _PARAMETER, _TABLE, *(f"torch {name}" for name in _DTYPES)})


@dataclass(frozen=True, slots=True)
class _Global:
    """A name that stands where a function or class would."""

    name: str


@dataclass(frozen=True, slots=True)
class Storage:
    """One record of the archive."""

    key: str
    dtype: str
    num_values: int


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A view of a storage, not read yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        sides = (*self.shape, *self.strides, self.offset)
        if not all(type(each) is int and 0 <= each <= MAX_VALUES for each in sides):
            raise ValueError("a tensor's shape, strides and offset must be whole numbers")
        if len(self.shape) != len(self.strides) or len(self.shape) > MAX_SIDES:
            raise ValueError(
                f"a tensor has {len(self.shape)} sides and {len(self.strides)} strides"
            )
        last = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and self.offset + last >= self.storage.num_values:
            raise ValueError("a tensor reaches beyond its storage")

    @property
    def num_bytes(self) -> int:
        """Once it is copied."""
        return math.prod(self.shape) * np.dtype(self.storage.dtype).itemsize


class Stack:
    """Follows the instructions that make plain values and tensors, and no others."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def follow(self, table: bytes) -> Any:  # noqa: ANN401 - any plain value, or a TensorRecord
        """The value that the instructions make.

        Raises:
            ValueError: Something else is asked for; IndexError, KeyError, TypeError: nonsense is.
        """
        for opcode, argument, _ in pickletools.genops(table):
            if opcode.name == "STOP":
                return self._values.pop()
            if opcode.name in _PUSHED:
                self._values.append(argument)
            elif opcode.name in _MADE:
                self._values.append(_MADE[opcode.name]())
            else:
                follow = _FOLLOWED.get(opcode.name)
                if follow is None:
                    raise ValueError(f"it has the instruction {opcode.name}")
                follow(self, argument)
        raise ValueError("its table has no end")

    def mark(self, _: object) -> None:
        self._marks.append(len(self._values))

    def since_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._values[start:]
        del self._values[start:]
        return values

    def tuple_since_mark(self, _: object) -> None:
        self._values.append(tuple(self.since_mark()))

    def tuple_of(self, count: int) -> None:
        values = self._values[-count:]
        if len(values) != count:
            raise ValueError("a tuple lacks values")
        self._values[-count:] = [tuple(values)]

    def put(self, number: int) -> None:
        self._memo[number] = self._values[-1]

    def memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self._values[-1]

    def get(self, number: int) -> None:
        self._values.append(self._memo[number])

    def name(self, argument: str) -> None:
        if argument not in _KNOWN:
            raise ValueError(f"it names {argument.replace(' ', '.')}")
        self._values.append(_Global(argument))

    def persistent(self, _: object) -> None:
        """A storage is referred to by ("storage", its class, its key, its device, its size)."""
        kind, storage, key, _device, num_values = self._values.pop()
        name = storage.name.removeprefix("torch ") if isinstance(storage, _Global) else ""
        if kind != "storage" or name not in _DTYPES or not str(key).isalnum():
            raise ValueError("it refers to something that is no storage")
        if type(num_values) is not int or not 0 <= num_values <= MAX_VALUES:
            raise ValueError(f"a storage of {num_values!r} values")
        self._values.append(Storage(str(key), _DTYPES[name], num_values))

    def reduce(self, _: object) -> None:
        """Where a function would be called."""
        arguments, function = self._values.pop(), self._values.pop()
        name = function.name if isinstance(function, _Global) else ""
        if name == _TABLE and arguments == ():
            self._values.append({})
        elif name == _PARAMETER and isinstance(arguments[0], TensorRecord):
            self._values.append(arguments[0])
        elif name == _TENSOR and isinstance(arguments[0], Storage):
            self._values.append(TensorRecord(*arguments[:4]))
        else:
            raise ValueError(f"it calls {name or type(function).__name__}")

    def set_items(self, _: object) -> None:
        items = self.since_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._put_in_table(key, value)

    def set_item(self, _: object) -> None:
        value, key = self._values.pop(), self._values.pop()
        self._put_in_table(key, value)

    def _put_in_table(self, key: object, value: object) -> None:
        if not isinstance(key, str | int):  # hashing a deep tuple would overflow Python's own stack
            raise ValueError("it has a table whose keys are no names")  # noqa: TRY004 - of a file
        self._table()[key] = value

    def _table(self) -> dict[Any, Any]:
        table = self._values[-1]
        if not isinstance(table, dict):
            raise ValueError("it fills what is no table")  # noqa: TRY004 - of a file
        return table

    def append(self, _: object) -> None:
        value = self._values.pop()
        self._list().append(value)

    def appends(self, _: object) -> None:
        values = self.since_mark()
        self._list().extend(values)

    def _list(self) -> list[Any]:
        values = self._values[-1]
        if not isinstance(values, list):
            raise ValueError("it fills what is no list")  # noqa: TRY004 - of a file
        return values

    def build(self, _: object) -> None:
        """Attributes of a table: a module's version, which nobody asks for."""
        self._values.pop()
        self._table()

    def nothing(self, _: object) -> None:
        """The protocol's number, and frames, which only say how to read on."""


_PUSHED = frozenset(
    {"BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
)
_MADE: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}
_FOLLOWED: dict[str, Callable[[Stack, Any], None]] = {
    "PROTO": Stack.nothing,
    "FRAME": Stack.nothing,
    "MARK": Stack.mark,
    "TUPLE": Stack.tuple_since_mark,
    "TUPLE1": lambda stack, _: stack.tuple_of(1),
    "TUPLE2": lambda stack, _: stack.tuple_of(2),
    "TUPLE3": lambda stack, _: stack.tuple_of(3),
    "BINPUT": Stack.put,
    "LONG_BINPUT": Stack.put,
    "MEMOIZE": Stack.memoize,
    "BINGET": Stack.get,
    "LONG_BINGET": Stack.get,
    "GLOBAL": Stack.name,
    "BINPERSID": Stack.persistent,
    "REDUCE": Stack.reduce,
    "SETITEM": Stack.set_item,
    "SETITEMS": Stack.set_items,
    "APPEND": Stack.append,
    "APPENDS": Stack.appends,
    "BUILD": Stack.build,
}
