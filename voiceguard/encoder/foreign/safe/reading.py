"""Reads other projects' files as data, with limits: tensors of ``torch.save``, and YAML.

In: bytes that anybody may have made. Out: tensors by name, or plain values. Nothing is constructed
but numbers, text, lists, tables and tensors; nothing is run.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import yaml

from voiceguard.encoder.foreign.safe.files import read_limited
from voiceguard.encoder.foreign.safe.names import unwrapped
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_TENSORS_BYTES = 2**31
MAX_YAML_BYTES = 2**20
MAX_YAML_NODES = 50_000
"""Seconds of parsing; the largest known descriptions, which list speakers, have 20 000."""
MAX_YAML_DEPTH = 32

TAG = "!"
"""The key under which a tagged value (``!new:package.Class {...}``) keeps its tag's text."""

_PLAIN_TAG = "tag:yaml.org,2002:"
"""Of YAML's own kinds, and of Python's objects, which are none of those that are read."""

_AGAIN = "Fetch it again, and compare its hash with what its publisher states."
_REFERENCE = re.compile(r"<([^<>]+)>")


# --- tensors --------------------------------------------------------------------------------


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors by name of a file that ``torch.save`` wrote, see ``tensors_from``."""
    return tensors_from(read_limited(path, MAX_TENSORS_BYTES), where=str(path))


def tensors_from(content: bytes, *, where: str) -> dict[str, torch.Tensor]:
    """The tensors of a saved ``state_dict``; entries that are no tensors are left out.

    Args:
        content: Of the file, zipped or of the older layout.
        where: What an error names.

    Raises:
        EncoderError: It is truncated or damaged (by its check sums), holds anything but tensors and
            plain values, or claims to be larger than ``MAX_TENSORS_BYTES``.
    """
    if zipfile.is_zipfile(io.BytesIO(content)):
        _check_archive(content, where)
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise EncoderError(
            f"{where} holds something other than tensors and plain values, or is damaged; nothing "
            f"of it was run: {_first_line(error)}",
            hint=f"{_AGAIN} A checkpoint with objects in it has to be saved as a state_dict.",
        ) from error
    except Exception as error:  # whatever a hostile file makes torch raise
        raise EncoderError(
            f"{where} is not a file of torch.save, or is truncated or damaged: "
            f"{_first_line(error)}",
            hint=_AGAIN,
        ) from error
    if not isinstance(loaded, dict):
        raise EncoderError(
            f"{where} holds a {type(loaded).__name__}, not tensors by name", hint=_AGAIN
        )
    tensors = {str(name): each for name, each in loaded.items() if isinstance(each, torch.Tensor)}
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise EncoderError(
                f"{where}: {name} is not a plain tensor of real numbers", hint=_AGAIN
            )
    # Views may claim any size over a few bytes: nothing is copied before this.
    if (size := sum(each.numel() * each.itemsize for each in tensors.values())) > MAX_TENSORS_BYTES:
        raise EncoderError(f"{where}: its tensors claim {size} bytes", hint=_AGAIN)
    if not tensors:
        raise EncoderError(f"{where} holds no tensors by name", hint=_AGAIN)
    return unwrapped(tensors)


def _check_archive(content: bytes, where: str) -> None:
    """Sizes before, and check sums, which torch itself does not look at."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            damaged = archive.testzip() if size <= MAX_TENSORS_BYTES else None
    except (zipfile.BadZipFile, EOFError, ValueError, OSError, NotImplementedError) as error:
        raise EncoderError(f"{where} is truncated or damaged: {error}", hint=_AGAIN) from error
    except Exception as error:  # zlib.error and what else a decompressor raises
        raise EncoderError(f"{where} is damaged: {error}", hint=_AGAIN) from error
    if size > MAX_TENSORS_BYTES:
        raise EncoderError(f"{where} would unpack to {size} bytes", hint=_AGAIN)
    if damaged is not None:
        raise EncoderError(f"{where} is damaged: {damaged} fails its check sum", hint=_AGAIN)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# --- YAML -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reference:
    """The text of ``!ref``."""

    text: str


def read_yaml(path: Path) -> dict[str, Any]:
    """The table of a YAML file, see ``yaml_from``."""
    return yaml_from(read_limited(path, MAX_YAML_BYTES), where=str(path))


def yaml_from(content: bytes, *, where: str) -> dict[str, Any]:
    """A YAML table as plain values: text, numbers, booleans, None, lists, tables.

    A tag constructs nothing: ``!new:a.B {x: 1}`` becomes ``{"!": "new:a.B", "x": 1}``, a tagged
    list or text goes under ``"value"``. ``!ref <a>`` and ``!ref <a[b]>`` become the value there;
    any other text of ``!ref`` stays text.

    Raises:
        EncoderError: It is not YAML, not a table, uses aliases, or is too large, too deep or too
            long once references are filled in.
    """
    if len(content) > MAX_YAML_BYTES:
        raise EncoderError(f"{where} has more than {MAX_YAML_BYTES} bytes", hint=_AGAIN)
    try:
        builder = _Builder(where, yaml.parse(content, Loader=yaml.SafeLoader))
        table = builder.document()
        if not isinstance(table, dict):
            raise EncoderError(f"{where} holds no table of names and values", hint=_AGAIN)
        resolved: dict[str, Any] = _Resolver(where, table).resolve(table)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise EncoderError(
            f"{where} is not readable YAML: {_first_line(error)}", hint=_AGAIN
        ) from error
    return resolved


class _Builder:
    """Plain values from a parser's events, which a deep document never nests on the stack."""

    def __init__(self, where: str, events: Iterator[yaml.Event]) -> None:
        self._where = where
        self._events = events
        self._num_nodes = 0
        self._loader = yaml.SafeLoader("")

    def document(self) -> Any:  # noqa: ANN401 - any plain value
        for event in self._events:
            if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
                return None if isinstance(event, yaml.StreamEndEvent) else self._value(event, 0)
        return None

    def _value(self, event: yaml.Event, depth: int) -> Any:  # noqa: ANN401 - any plain value
        self._num_nodes += 1
        if self._num_nodes > MAX_YAML_NODES or depth > MAX_YAML_DEPTH:
            raise EncoderError(
                f"{self._where} is too large or too deep for a description", hint=_AGAIN
            )
        if isinstance(event, yaml.AliasEvent):
            raise EncoderError(
                f"{self._where} uses YAML aliases (*{event.anchor}): not read",
                hint="Write the values out where they are used.",
            )
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items = [self._value(each, depth + 1) for each in self._until(yaml.SequenceEndEvent)]
            return items if event.tag is None else {TAG: _tag_text(event.tag), "value": items}
        assert isinstance(event, yaml.MappingStartEvent)
        table: dict[str, Any] = {} if event.tag is None else {TAG: _tag_text(event.tag)}
        for each in self._until(yaml.MappingEndEvent):
            key = str(self._value(each, depth + 1))
            if key in table:
                raise EncoderError(f"{self._where} names {key!r} twice in one table", hint=_AGAIN)
            table[key] = self._value(next(self._events), depth + 1)
        return table

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _scalar(self, event: yaml.ScalarEvent) -> Any:  # noqa: ANN401 - any plain value
        if event.tag == "!ref":
            return _Reference(event.value)
        tag = event.tag
        if tag is None or tag == "!":
            resolve: Any = self._loader.resolve
            tag = str(resolve(yaml.ScalarNode, event.value, event.implicit))
        elif not tag.startswith(_PLAIN_TAG):
            text = {"value": event.value} if event.value else {}
            return {TAG: _tag_text(tag), **text}
        if tag.removeprefix(_PLAIN_TAG) not in {"int", "float", "bool", "null"}:
            return event.value  # times and the like stay text
        # Of these four kinds the loader's constructors make numbers, booleans and None.
        construct: Any = self._loader.construct_object
        return construct(yaml.ScalarNode(tag, event.value))


def _tag_text(tag: str) -> str:
    return tag.removeprefix("!")


class _Resolver:
    """Puts values in place of references, so many at most."""

    def __init__(self, where: str, root: dict[str, Any]) -> None:
        self._where = where
        self._root = root
        self._num_nodes = 0

    def resolve(self, value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any plain value
        self._num_nodes += 1
        if self._num_nodes > MAX_YAML_NODES or depth > MAX_YAML_DEPTH:
            raise EncoderError(
                f"{self._where}: its references lead in circles or to too much", hint=_AGAIN
            )
        if isinstance(value, _Reference):
            return self._referred(value.text, depth)
        if isinstance(value, list):
            return [self.resolve(each, depth + 1) for each in value]
        if isinstance(value, dict):
            return {key: self.resolve(each, depth + 1) for key, each in value.items()}
        return value

    def _referred(self, text: str, depth: int) -> Any:  # noqa: ANN401 - any plain value
        match = _REFERENCE.fullmatch(text.strip())
        if match is None:  # a path made of pieces, a sum: nothing that sizes are written as
            return text
        target: Any = self._root
        for name in re.split(r"[.\[\]]+", match[1].rstrip("]")):
            if isinstance(target, _Reference):
                target = self._referred(target.text, depth + 1)
            if not isinstance(target, dict) or name not in target:
                raise EncoderError(
                    f"{self._where} refers to {text}, which is not in it", hint=_AGAIN
                )
            target = target[name]
        return self.resolve(target, depth + 1)
