"""Files that anybody may have made are read as data, or refused with words."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.encoder.foreign.made import rezipped
from voiceguard.encoder.foreign.safe import files, reading
from voiceguard.errors import EncoderError


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def saved(value: object, *, zipped: bool = True) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


STATE = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.count": torch.tensor(7), "epoch": 3}


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_are_read_from_both_layouts_and_the_rest_is_left_out(zipped: bool) -> None:  # noqa: FBT001
    found = reading.tensors_from(saved(STATE, zipped=zipped), where="x")
    assert set(found) == {"a.weight", "a.count"}
    assert torch.equal(found["a.weight"], STATE["a.weight"])  # type: ignore[arg-type]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_payload_is_refused_and_does_not_run(tmp_path: Path, zipped: bool) -> None:  # noqa: FBT001
    touched = tmp_path / "touched"
    hostile = saved({**STATE, "b": Payload(touched)}, zipped=zipped)
    with pytest.raises(EncoderError, match=r"nothing of it was run") as caught:
        reading.tensors_from(hostile, where="evil.ckpt")
    assert "evil.ckpt" in str(caught.value)
    assert not touched.exists()
    with pytest.raises(EncoderError):
        reading.tensors_from(pickle.dumps(Payload(touched)), where="evil.ckpt")
    assert not touched.exists()


def test_every_truncation_is_noticed() -> None:
    for zipped in (True, False):
        whole = saved(STATE, zipped=zipped)
        for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
            with pytest.raises(EncoderError, match=r"cut\.ckpt"):
                reading.tensors_from(whole[:length], where="cut.ckpt")


def test_a_flipped_bit_in_a_tensor_is_noticed_by_its_check_sum() -> None:
    """Which torch itself does not look at."""
    whole = bytearray(saved(STATE))
    position = whole.index(STATE["a.weight"].numpy().tobytes()) + 21  # type: ignore[attr-defined]
    whole[position] ^= 1
    assert torch.load(io.BytesIO(whole), weights_only=True)
    with pytest.raises(EncoderError, match="fails its check sum"):
        reading.tensors_from(bytes(whole), where="x")


def test_an_archive_that_unpacks_to_too_much_is_refused_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "MAX_TENSORS_BYTES", 10_000)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(100_000))
    assert len(out.getvalue()) < 1000
    with pytest.raises(EncoderError, match="would unpack to 100000 bytes"):
        reading.tensors_from(out.getvalue(), where="x")


def test_a_view_that_claims_more_than_can_be_is_refused() -> None:
    """A few bytes with strides of 0 claim any size; copying them would fill the memory."""
    hostile = saved({"a": torch.zeros(1).expand(2**20, 2**12)})
    assert len(hostile) < 3000
    with pytest.raises(EncoderError, match=r"claim \d+ bytes"):
        reading.tensors_from(hostile, where="x")


def test_a_storage_that_claims_more_than_its_record_is_refused() -> None:
    def larger(name: str, content: bytes) -> bytes:
        return content.replace(b"K\x0ctq", b"M\x00\x40tq") if name.endswith(".pkl") else content

    whole = saved({"a": torch.zeros(12)})
    hostile = rezipped(whole, larger)
    assert len(hostile) != len(rezipped(whole, lambda _name, content: content))
    with pytest.raises(EncoderError, match="damaged"):
        reading.tensors_from(hostile, where="x")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(3), "holds a Tensor"),
        ([torch.zeros(3)], "holds a list"),
        ({"epoch": 3}, "no tensors by name"),
        ({"a": torch.zeros(3).to_sparse()}, "a is not a plain tensor"),
        ({"a": torch.zeros(3, dtype=torch.complex64)}, "a is not a plain tensor"),
    ],
)
def test_anything_but_plain_tensors_by_name_is_refused(value: object, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        reading.tensors_from(saved(value), where="x")


def test_a_file_too_large_or_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(11))
    assert files.read_limited(path, 11) == bytes(11)
    with pytest.raises(EncoderError, match="more than 10 bytes"):
        files.read_limited(path, 10)
    with pytest.raises(EncoderError, match="cannot be read: No such file"):
        reading.read_tensors(tmp_path / "missing")


def read(text: str) -> dict[str, Any]:
    return reading.yaml_from(text.encode(), where="x.yaml")


def test_yaml_is_read_as_plain_values() -> None:
    assert read(
        "a: 1\nb: [1.5, -2, true, ~]\nc: {d: text, e: '7'}\nf: 2026-01-02\ng: !!float 3\n"
    ) == {
        "a": 1,
        "b": [1.5, -2, True, None],
        "c": {"d": "text", "e": "7"},
        "f": "2026-01-02",
        "g": 3.0,
    }


def test_tags_make_nothing_and_stay_visible(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    found = read(
        "a: !new:os.System {x: 1}\nb: !name:torch.nn.ReLU\nc: !apply:f [1, 2]\n"
        f"d: !!python/object/apply:pathlib.Path.touch [[{touched}]]\ne: !copy 3\n"
    )
    assert found["a"] == {"!": "new:os.System", "x": 1}
    assert found["b"] == {"!": "name:torch.nn.ReLU"}
    assert found["c"] == {"!": "apply:f", "value": [1, 2]}
    assert "python/object/apply" in found["d"]["!"]
    assert found["e"] == {"!": "copy", "value": "3"}
    assert not touched.exists()


def test_references_become_what_they_refer_to() -> None:
    found = read(
        "n: 80\na: {size: !ref <n>, list: [1, !ref <n>]}\nb: !ref <a>\nc: !ref <a[size]>\n"
        "d: !ref <b.list>\npath: !ref <n>/file.ckpt\n"
    )
    assert found["b"] == {"size": 80, "list": [1, 80]}
    assert (found["c"], found["d"], found["path"]) == (80, [1, 80], "<n>/file.ckpt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: [1\n", "not readable YAML"),
        ("- 1\n", "no table"),
        ("", "no table"),
        ("a: 1\na: 2\n", "'a' twice"),
        ("a: !ref <b>\n", "refers to <b>, which is not in it"),
        ("a: !ref <b>\nb: !ref <a>\n", "in circles"),
        ("a: " + "[" * 1000 + "]" * 1000, "too deep"),
        ("a: " + "{b: " * 50 + "1" + "}" * 50, "too deep"),
        ("\x00", "not readable YAML"),
        ("a: " + "9" * 5000, "not readable YAML"),
    ],
)
def test_yaml_that_is_broken_or_hostile_is_refused(text: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        read(text)
    assert "x.yaml" in str(caught.value)


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_YAML_NODES", 100)
    assert len(read("a: [" + "1," * 90 + "]")["a"]) == 90
    with pytest.raises(EncoderError, match="too large"):
        read("a: [" + "1," * 100 + "]")


def test_a_bomb_of_references_is_refused() -> None:
    """Ten lines that would be ten thousand million values."""
    lines = ["a0: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: [{', '.join([f'!ref <a{n - 1}>'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(EncoderError, match="to too much"):
        read("\n".join(lines))


def test_a_yaml_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"a: 1 #" + bytes(reading.MAX_YAML_BYTES))
    with pytest.raises(EncoderError, match=r"large\.yaml has more than"):
        reading.read_yaml(path)
    with pytest.raises(EncoderError, match=r"model_config\.yaml has more than"):
        reading.yaml_from(path.read_bytes(), where="model_config.yaml")
