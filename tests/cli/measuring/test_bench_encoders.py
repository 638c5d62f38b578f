"""``voiceguard bench encoders``: figures of real processes; none is judged here."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from voiceguard.cli import output
from voiceguard.cli.measuring import bench_encoders
from voiceguard.encoder.library import DEFAULT_MODEL, stated_encoder_id
from voiceguard.errors import UsageError
from voiceguard.lab.bench import encoders as side_by_side
from voiceguard.lab.bench.encoders import ON_CPU, ON_CUDA, Measured, Place, Run, measure

if TYPE_CHECKING:
    from pathlib import Path


def _run(place: Place, *, num_cuda: int = 0) -> Run:
    return Run(
        place=place,
        encoder_id="0" * 16,
        num_parameters=2_000_000,
        embedding_dim=192,
        start_up_s=2.5,
        window_ms={"1": 11.0, "3": 33.0},
        rolling_rtf=0.05,
        memory_mb=300,
        precision="half" if place.device == "cuda" else "float32",
        num_cuda=num_cuda,
        runtime="openvino",
    )


def test_every_encoder_is_measured_in_a_process_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "NUM_REPEATS", 2)
    # Two threads on a busy machine wait for each other for half a minute.
    monkeypatch.setattr(side_by_side, "ON_CPU", ON_CPU[:1])
    measured = bench_encoders.bench_encoders(runtime="onnx", state_dir=tmp_path, json_lines=True)
    assert measured == 0
    (line,) = capsys.readouterr().out.splitlines()
    row = json.loads(line)
    assert (row["name"], row["fault"]) == (DEFAULT_MODEL, "")
    assert row["runs"][0]["place"] == {"device": "cpu", "num_threads": 1}
    for run in row["runs"]:
        assert run["runtime"] == "onnx"
        assert run["encoder_id"] == stated_encoder_id("default")
        assert set(run["window_ms"]) == {"1", "2", "3"}
        assert min(run["window_ms"].values()) > 0
        assert run["rolling_rtf"] > 0
        assert run["memory_mb"] > 100
        assert run["start_up_s"] > 0.1  # without torch, 0.4 s on an idle machine


def test_one_and_two_threads_are_measured_and_cuda_where_there_is_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[Place] = []

    def measured(_name: str, _models_dir: Path, _runtime: str, place: Place) -> Run:
        places.append(place)
        return _run(place, num_cuda=1)

    monkeypatch.setattr(side_by_side, "_in_a_process", measured)
    assert len(measure("x", tmp_path).runs) == 3
    assert places == [*ON_CPU, ON_CUDA]


def test_one_that_cannot_be_loaded_is_a_fault_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.json").write_text("{}")
    found = measure("broken", tmp_path)
    assert not found.runs
    assert "is not a card of an encoder" in found.fault


def test_people_see_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    runs = (_run(ON_CPU[0]), _run(ON_CPU[1]), _run(ON_CUDA))
    bench_encoders._print(
        [Measured(name="big", runs=runs), Measured(name="bad", runs=(), fault="no file")]
    )
    shown = capsys.readouterr()
    for words in ("big", " 1 thread", " 2 threads", "CUDA, half", "0.0500", "M, 192, openvino"):
        assert words in shown.out
    assert "bad: no file" in shown.err


def test_the_table_fits_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.stdout, "width", 80)
    runs = (_run(ON_CPU[0]), _run(ON_CPU[1]), _run(ON_CUDA))
    bench_encoders._print([Measured(name="speechbrain-ecapa-voxceleb", runs=runs)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    assert sum("0.0500" in line and "300 MB" in line for line in lines) == len(runs)


def test_a_runtime_that_is_not_installed_is_a_fault_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is measured in its place."""
    hidden = tmp_path / "openvino"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError(name='openvino')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    found = measure(DEFAULT_MODEL, tmp_path, "openvino")
    assert not found.runs
    assert "needs the package openvino" in found.fault


def test_a_name_that_is_not_here_is_an_error_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no encoder 'titanet' here"):
        bench_encoders.bench_encoders(["titanet"], state_dir=tmp_path)


def test_bench_alone_still_measures_the_daemon(tmp_path: Path) -> None:
    """Its options are its own: a wrong one is refused before anything is loaded."""
    refused = voiceguard("bench", "--seconds", "1", state=tmp_path)
    assert refused.returncode == 2
    assert "--seconds" in refused.stderr
