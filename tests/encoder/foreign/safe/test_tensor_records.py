"""A file of torch.save is read without torch and without unpickling, or refused with words."""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.encoder.foreign.made import rezipped
from tests.encoder.foreign.safe.test_reading import Payload, saved
from voiceguard.encoder.foreign.safe import tensor_records
from voiceguard.encoder.foreign.safe import tensor_table as table
from voiceguard.encoder.foreign.safe.tensor_records import index_of, read_arrays
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASE = torch.arange(24.0).reshape(4, 6)
STATE = {
    "whole": BASE,
    "turned": BASE.T,
    "part": BASE[1:3, ::2],
    "same number": torch.zeros(1).expand(3, 2),
    "count": torch.tensor(7),
    "empty": torch.zeros(0, 3),
    "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
    "flags": torch.tensor([True, False]),
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "epoch": 3,
    "about": {"lr": 0.1, "names": ["a", None], "flag": True, "pair": (1, 2, 3, 4), "big": 2**40},
}


def with_table(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return rezipped(content, lambda name, each: change(each) if name.endswith("data.pkl") else each)


def test_arrays_are_torchs_and_the_rest_is_left_out() -> None:
    found = read_arrays(saved(STATE), where="x")
    assert set(found) == set(STATE) - {"epoch", "about"}
    for name, array in found.items():
        expected = STATE[name]
        assert isinstance(expected, torch.Tensor)
        assert array.dtype == expected.detach().numpy().dtype
        np.testing.assert_array_equal(array, expected.detach().numpy())
        assert array.flags.c_contiguous
        assert array.flags.owndata


def test_a_modules_own_table_is_read() -> None:
    state = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()
    assert isinstance(state, OrderedDict)
    assert set(read_arrays(saved(state), where="x")) == set(state)


def test_a_payload_is_refused_and_does_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(EncoderError, match=r"nothing of it was run: it names") as raised:
        read_arrays(saved({"a": torch.zeros(2), "b": Payload(touched)}), where="evil.pt")
    assert "evil.pt" in str(raised.value)
    hostile = with_table(saved({}), lambda _: pickle.dumps(Payload(touched), protocol=2))
    with pytest.raises(EncoderError, match="nothing of it was run"):
        read_arrays(hostile, where="evil.pt")
    assert not touched.exists()


@pytest.mark.parametrize(
    ("instructions", "message"),
    [
        (b"cos\nsystem\n(Vls\ntR.", "it names os.system"),
        (b"ccollections\nOrderedDict\n(Vx\ntR.", "it has the instruction UNICODE"),
        (b"ccollections\nOrderedDict\n(K\x01tR.", "it calls collections OrderedDict"),
        (b"(K\x01K\x02tR.", "nothing of it was run"),
        (b"ctorch\nFloatStorage\n)R.", "it calls torch FloatStorage"),
        (b"K\x01K\x02s.", "nothing of it was run"),
        (b"K\x05K\x01K\x02s.", "fills what is no table"),
        (b"K\x01a.", "nothing of it was run"),
        (b"}(X\x01\x00\x00\x00aK\x01)ua.", "nothing of it was run"),
        (b"}" + b")" + b"\x85" * 100_000 + b"K\x01s.", "keys are no names"),
        (b"h\x05.", "nothing of it was run"),
        (b"K\x01.", "holds a int"),
        (b"}.", "no tensors by name"),
        (b"}", "nothing of it was run"),
        (b"", "nothing of it was run"),
        (b"\x8c\x05builtins\x8c\x04eval\x93.", "it has the instruction STACK_GLOBAL|nothing of"),
        (b"X\x07\x00\x00\x00storageQ.", "nothing of it was run"),
    ],
)
def test_instructions_of_any_other_kind_are_refused(instructions: bytes, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        read_arrays(with_table(saved({"a": torch.zeros(2)}), lambda _: instructions), where="x")


def test_no_instruction_that_could_call_anything_is_followed() -> None:
    """Of all that pickles may hold: those that look a class up, make it, or ask a registry."""
    known = {*table._PUSHED, *table._MADE, *table._FOLLOWED, "STOP"}
    assert known <= {opcode.name for opcode in pickletools.opcodes}
    assert not known & {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2"}
    assert not known & {"EXT4", "PERSID", "NEXT_BUFFER", "READONLY_BUFFER", "BYTEARRAY8"}


def test_every_truncation_and_a_flipped_bit_are_noticed() -> None:
    whole = saved(STATE)
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        with pytest.raises(EncoderError, match=r"cut\.pt"):
            read_arrays(whole[:length], where="cut.pt")
    flipped = bytearray(whole)
    flipped[whole.index(BASE.numpy().tobytes()) + 21] ^= 1
    with pytest.raises(EncoderError, match="damaged"):
        read_arrays(bytes(flipped), where="x")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_changed_table_never_crashes(data: st.DataObject) -> None:
    """The check sums are made right again: only the table is wrong."""
    whole = saved(STATE)

    def change(whole_table: bytes) -> bytes:
        changed = bytearray(whole_table)
        for _ in range(data.draw(st.integers(1, 4))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        return bytes(changed)

    try:
        found = read_arrays(with_table(whole, change), where="x")
    except EncoderError:
        return
    assert all(isinstance(array, np.ndarray) for array in found.values())


def test_what_claims_more_than_it_has_is_refused_before_it_is_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hostile = saved({"a": torch.zeros(1).expand(2**20, 2**12)})
    assert len(hostile) < 3000
    with pytest.raises(EncoderError, match=r"claim \d+ bytes"):
        read_arrays(hostile, where="x")
    larger = with_table(
        saved({"a": torch.zeros(12)}), lambda each: each.replace(b"K\x0ctq", b"M\x00\x40tq")
    )
    with pytest.raises(EncoderError, match="16384 values has 12"):
        read_arrays(larger, where="x")
    beyond = with_table(
        saved({"a": torch.zeros(12)}), lambda each: each.replace(b"K\x0c\x85", b"K\x0d\x85")
    )
    with pytest.raises(EncoderError, match="reaches beyond its storage"):
        read_arrays(beyond, where="x")
    monkeypatch.setattr(tensor_records, "MAX_BYTES", 10_000)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(100_000))
    with pytest.raises(EncoderError, match="would unpack to 100000 bytes"):
        read_arrays(out.getvalue(), where="x")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(3), "holds a TensorRecord"),
        ([torch.zeros(3)], "holds a list"),
        ({"a": torch.zeros(3).to_sparse()}, "it names torch"),
        ({"a": torch.zeros(3, dtype=torch.complex64)}, "it names torch.ComplexFloatStorage"),
        ({"a": torch.zeros(3, dtype=torch.bfloat16)}, "it names torch.BFloat16Storage"),
    ],
)
def test_anything_but_plain_tensors_by_name_is_refused(value: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(EncoderError, match=message):
        read_arrays(saved(value), where="x")


def test_the_older_layout_and_the_other_byte_order_are_refused_by_name() -> None:
    with pytest.raises(EncoderError, match=r"not a file of torch\.save, of the zipped layout"):
        read_arrays(saved(STATE, zipped=False), where="x")
    foreign = rezipped(
        saved(STATE), lambda name, each: b"big" if name.endswith("byteorder") else each
    )
    with pytest.raises(EncoderError, match="other byte order"):
        read_arrays(foreign, where="x")


def test_the_index_is_found_and_a_program_has_none(tmp_path: Path) -> None:
    path = tmp_path / "it.pt"
    path.write_bytes(saved({"some.weight": torch.zeros(2)}))
    assert b"some.weight" in index_of(path)
    path.write_bytes(saved({"some.weight": torch.zeros(2)}, zipped=False))
    assert b"some.weight" in index_of(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("it/data.pkl", b"some.weight")
        archive.writestr("it/constants.pkl", b"")
    assert index_of(path) == b""
    assert index_of(tmp_path) == index_of(tmp_path / "nowhere") == b""
