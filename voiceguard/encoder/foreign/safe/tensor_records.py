"""Reads a ``state_dict`` of ``torch.save`` without torch, and without unpickling anything.

In: bytes that anybody may have made. Out: arrays by name. The table of names is read by
``tensor_table``; a storage is a record of the archive, whose check sum is compared.

Source: torch/serialization.py.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from voiceguard.encoder.foreign.safe.names import unwrapped
from voiceguard.encoder.foreign.safe.tensor_table import Stack, TensorRecord
from voiceguard.errors import EncoderError
from voiceguard.validation.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BYTES = 2**31
MAX_TABLE_BYTES = 2**24

_HINT = "Fetch it again, and compare its hash with what its publisher states."


def read_arrays(content: bytes, *, where: str) -> dict[str, NDArray[Any]]:
    """The arrays of a saved ``state_dict``; entries that are no tensors are left out.

    Args:
        content: Of the file, of the zipped layout (torch 1.6 and later).
        where: What an error names.

    Returns:
        By name, of any shape, in the precision of the file.

    Raises:
        EncoderError: It is truncated or damaged (by its check sums), holds anything but tensors and
            plain values, or claims to be larger than ``MAX_BYTES``.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _arrays(archive, where)
    except zipfile.BadZipFile as error:
        raise EncoderError(
            f"{where} is not a file of torch.save, of the zipped layout, or is truncated or "
            f"damaged: {error}",
            hint=_HINT,
        ) from error
    except (zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise EncoderError(f"{where} is damaged: {error}", hint=_HINT) from error
    except (ValueError, IndexError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise EncoderError(
            f"{where} holds something other than tensors and plain values, or is damaged; nothing "
            f"of it was run: {error}",
            hint=f"{_HINT} A checkpoint with objects in it has to be saved as a state_dict.",
        ) from error


def index_of(path: Path) -> bytes:
    """The part of a file of ``torch.save`` that holds the tensors' names; else nothing.

    Of any layout; nothing of it is followed.
    """
    try:
        return _index(path) if path.is_file() else b""
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError, EOFError):
        return b""


def _index(path: Path) -> bytes:
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            return file.read(MAX_TABLE_BYTES)
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if any(each.endswith("/constants.pkl") for each in names):
                return b""  # TorchScript: a program
            pickled = next((each for each in names if each.endswith("/data.pkl")), None)
            if pickled is None or archive.getinfo(pickled).file_size > MAX_TABLE_BYTES:
                return b""
            return archive.read(pickled)


def _arrays(archive: zipfile.ZipFile, where: str) -> dict[str, NDArray[Any]]:
    if (size := sum(entry.file_size for entry in archive.infolist())) > MAX_BYTES:
        raise EncoderError(f"{where} would unpack to {size} bytes", hint=_HINT)
    tables = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(tables) != 1 or archive.getinfo(tables[0]).file_size > MAX_TABLE_BYTES:
        raise EncoderError(
            f"{where} is not a file of torch.save: it has {len(tables)} tables", hint=_HINT
        )
    root = tables[0].removesuffix("data.pkl")
    order = f"{root}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise EncoderError(
            f"{where} was written by a processor of the other byte order", hint=_HINT
        )
    loaded = Stack().follow(archive.read(tables[0]))
    if not isinstance(loaded, dict):
        raise EncoderError(
            f"{where} holds a {type(loaded).__name__}, not tensors by name", hint=_HINT
        )
    tensors = {str(name): each for name, each in loaded.items() if isinstance(each, TensorRecord)}
    # Views may claim any size over a few bytes: nothing is copied before this.
    if (size := sum(each.num_bytes for each in tensors.values())) > MAX_BYTES:
        raise EncoderError(f"{where}: its tensors claim {size} bytes", hint=_HINT)
    if not tensors:
        raise EncoderError(f"{where} holds no tensors by name", hint=_HINT)
    return {name: _array(archive, root, each) for name, each in unwrapped(tensors).items()}


def _array(archive: zipfile.ZipFile, root: str, tensor: TensorRecord) -> NDArray[Any]:
    """A tensor's own copy, of any shape; reading a record compares its check sum."""
    storage = tensor.storage
    values = np.frombuffer(archive.read(f"{root}data/{storage.key}"), dtype=storage.dtype)
    if len(values) != storage.num_values:
        raise ValueError(f"a storage of {storage.num_values} values has {len(values)}")
    if 0 in tensor.shape:
        return np.empty(tensor.shape, dtype=storage.dtype)
    strides = tuple(step * values.itemsize for step in tensor.strides)
    return as_strided(values[tensor.offset :], tensor.shape, strides).copy()
