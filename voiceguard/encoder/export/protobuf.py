"""The few kinds of protocol buffer fields that an ONNX file consists of, written.

Some thirty lines instead of two packages of 40 MB, which a machine that only listens would carry
for nothing else.

Source: https://protobuf.dev/programming-guides/encoding; field numbers are those of onnx.proto.
"""

from __future__ import annotations

import struct

_VARINT, _LENGTH, _FIXED_32 = 0, 2, 5


def whole(field: int, value: int) -> bytes:
    """A whole number of 64 bits, or a value of an enumeration."""
    return _varint(field << 3 | _VARINT) + _varint(value)


def single(field: int, value: float) -> bytes:
    """A number in single precision."""
    return _varint(field << 3 | _FIXED_32) + struct.pack("<f", value)


def part(field: int, content: bytes | str) -> bytes:
    """Bytes, text or a message that is written already."""
    raw = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | _LENGTH) + _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    """Seven bits to the byte, the lowest first; a negative one as its 64 bits stand."""
    value &= 2**64 - 1
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
