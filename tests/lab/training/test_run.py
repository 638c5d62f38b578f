"""A whole run: it learns, stops, goes on exactly, and ends in a model that the program loads."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest
import torch

from tests.fakes import tone
from tests.lab.evaluation.voices import write_wav
from tests.lab.training.tiny import TINY, drawn, tiny_inputs, tiny_run, tiny_teacher
from voiceguard.encoder import golden
from voiceguard.encoder.card import native
from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn
from voiceguard.errors import StateError, UsageError
from voiceguard.lab.training.cards import make_card, save_model
from voiceguard.lab.training.config import MatchingConfig
from voiceguard.lab.training.hardware import find_hardware
from voiceguard.lab.training.inputs import Schedule
from voiceguard.lab.training.run import Run
from voiceguard.lab.training.students.ecapa import EcapaStudent
from voiceguard.lab.training.trainer import Progress, TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

T = TypeVar("T")

PLAIN: dict[str, Any] = {"aam_margin": 0.0, "large_margin_share": 0.0, "spec_augment": 0.0}
"""A loss whose values at the beginning and at the end can be compared."""

EVERY_STEP = Schedule(report_every=1, heldout_every=2, save_every=1)


def train(run: Run, *, until: int | None = None) -> list[Progress]:
    """To the end, or to a step."""
    reports: list[Progress] = []
    run.train(
        EVERY_STEP,
        on_report=reports.append,
        is_stopped=lambda: run.trainer.step == until,
    )
    return reports


def weights(run: Run) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in run.student.average.state_dict().items()}


def ecapa(run: Run) -> EcapaStudent:
    """Who learns in these runs."""
    assert isinstance(run.student, EcapaStudent)
    return run.student


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    whole = tiny_run(tmp_path / "corpus", tmp_path / "whole")
    reports = train(whole)

    stopped = tiny_run(tmp_path / "corpus", tmp_path / "parts")
    train(stopped, until=3)
    resumed = tiny_run(tmp_path / "corpus", tmp_path / "parts")
    assert resumed.trainer.step == 3
    later = train(resumed)

    assert [report.step for report in reports] == [1, 2, 3, 4, 5, 6]
    assert [report.losses for report in later] == [report.losses for report in reports[3:]]
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(resumed)[name], tensor, rtol=0, atol=0, msg=name)
    assert len(resumed.trainer.history) == 6


def test_it_learns_and_says_how_it_does_on_others(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "corpus", tmp_path / "out", num_steps=30, learning_rate=3e-3, **PLAIN)

    reports = train(run)

    first = np.mean([report.losses["aam"] for report in reports[:3]])
    last = np.mean([report.losses["aam"] for report in reports[-3:]])
    assert last < first - 0.5
    assert set(reports[1].eers) == {
        f"{length} s {how}" for length in (1, 2, 3) for how in ("clean", "corrupted")
    }
    assert not reports[0].eers
    assert run.num_heldout == 5
    assert reports[-1].remaining_s == 0


def test_with_a_teacher_it_is_matched(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "corpus", tmp_path / "out", teacher="default", num_steps=2)

    reports = train(run)

    assert {"distillation", "similarity", "aam"} <= set(reports[0].losses)
    assert run.source.teacher_dim == 192


def test_drawn_voices_are_learnt_whole_and_by_frames_and_go_on_exactly(tmp_path: Path) -> None:
    recipe = {**PLAIN, **drawn(tiny_teacher(tmp_path)), "num_steps": 24, "learning_rate": 1e-2}
    recipe["matching"] = MatchingConfig()
    run = tiny_run(tmp_path / "corpus", tmp_path / "whole", heldout_share=0.0, **recipe)
    train(run, until=3)
    shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    train(run, until=12)
    losses = [row["losses"] for row in run.trainer.history]

    assert set(losses[0]) == {"loss", "distillation", "similarity", "contrast", "frames"}
    for part, least in (("loss", 0.95), ("frames", 0.8)):
        first, last = (np.mean([each[part] for each in some]) for some in (losses[:6], losses[6:]))
        assert last < least * first, part
    resumed = tiny_run(tmp_path / "corpus", tmp_path / "stopped", heldout_share=0.0, **recipe)
    assert resumed.trainer.step == 3
    train(resumed, until=6)
    assert [row["losses"] for row in resumed.trainer.history] == losses[:6]


def test_a_teacher_without_frames_is_matched_whole_and_the_recipe_says_so(tmp_path: Path) -> None:
    recipe = {**drawn("default"), "num_steps": 3, "batch_s": 2, "heldout_share": 0.0}
    run = tiny_run(tmp_path / "corpus", tmp_path / "out", **recipe)
    reports: list[Progress] = []

    run.train(
        Schedule(report_every=2, heldout_every=99, save_every=99, said_every_s=0.0),
        on_report=reports.append,
        is_stopped=lambda: False,
    )

    assert "frames" not in reports[0].losses
    assert run.config.to_json()["frames_weight"] == 0
    # A slow step is reported at once, which changes nothing of what is kept.
    assert [report.step for report in reports] == [1, 2, 3]
    assert [row["step"] for row in run.trainer.history] == [2, 3]
    assert run.trainer.history[0]["losses"] == reports[1].losses


class FarNetwork(EcapaTdnn):
    """On a device, as far as these tests have one: fetched from there, it is not asked again."""

    is_fetched = False

    def cpu(self) -> FarNetwork:
        self.is_fetched = True
        return super().cpu()

    def forward(self, features: Tensor) -> Tensor:
        assert not self.is_fetched, "features on the device, weights on the CPU"
        return super().forward(features)


def test_a_finished_network_is_fetched_from_its_device_when_all_is_measured(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "corpus", tmp_path / "out", num_steps=2)
    train(run)
    student = ecapa(run)
    student.average = FarNetwork(student.average.config).eval()
    student.average.load_state_dict(student.network.state_dict())

    network, before, after = run.finish()

    assert isinstance(network, FarNetwork)
    assert network.is_fetched
    assert before.keys() == after.keys() != set()


def test_what_takes_long_says_where_it_is(tmp_path: Path) -> None:
    told: list[str] = []

    def track(items: Sequence[T], description: str) -> Sequence[T]:
        told.append(description)
        return items

    recipe = {**drawn(tiny_teacher(tmp_path)), "num_steps": 1, "heldout_share": 0.0}
    run = Run(
        replace(TINY, **recipe),
        tiny_inputs(tmp_path / "corpus", tmp_path / "out"),
        find_hardware("cpu", "float32", num_threads=1),
        track=track,
    )
    train(run)
    run.finish()

    assert told == ["reading", "labels: is each one voice?", "the teacher's means", "the last turn"]


def test_a_run_goes_on_with_the_noise_that_it_was_begun_with(tmp_path: Path) -> None:
    train(tiny_run(tmp_path / "corpus", tmp_path / "out"), until=1)
    write_wav(tmp_path / "noise/hum.wav", tone(100.0, 1.0))
    inputs = replace(tiny_inputs(tmp_path / "corpus", tmp_path / "out"), noise=tmp_path / "noise")

    with pytest.raises(UsageError, match=r"with other settings: corruption was \w+, now \w+"):
        Run(TINY, inputs, find_hardware("cpu", "float32", num_threads=1))


@pytest.mark.parametrize("name", ["material.json", "labels.json"])
def test_what_cannot_be_kept_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)  # in the place of a file, as good as a full disk
    recipe = {**drawn(tiny_teacher(tmp_path)), "heldout_share": 0.0}

    with pytest.raises(StateError, match=r"what the run keeps in .*out cannot be written: "):
        tiny_run(tmp_path / "corpus", tmp_path / "out", **recipe)


def test_the_finished_model_is_what_the_program_loads(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "corpus", tmp_path / "out")
    train(run)
    student, (network, _, eers) = ecapa(run), run.finish()
    card = make_card(
        "tiny",
        TINY,
        student.average.config,
        run.material.counts,
        eers=eers,
        command="train",
        compute="no time",
    )
    path = tmp_path / "tiny.safetensors"
    save_model(path, card, network, half=True)

    encoder = load_encoder(str(path), "cpu")
    embedding = encoder.embed(tone(440.0, 1.0))

    with torch.no_grad():
        samples = torch.from_numpy(tone(440.0, 1.0)).unsqueeze(0)
        expected = network(student.log_mel(samples))[0]
    expected = torch.nn.functional.normalize(expected, dim=0)
    assert float(torch.from_numpy(embedding) @ expected) > 0.999  # half precision
    written = native.read_card(native.card_path(path))
    assert written.recipe == TINY.to_json()
    assert written.golden is not None
    assert golden.deviation(encoder, written.golden) < golden.TOLERANCE


def test_fine_tuning_begins_with_the_given_weights(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "corpus", tmp_path / "out", whitening=0.0)
    train(run)
    student, (network, *_) = ecapa(run), run.finish()
    card = make_card(
        "tiny",
        TINY,
        student.average.config,
        run.material.counts,
        eers={},
        command="train",
        compute="no time",
    )
    save_model(tmp_path / "tiny.safetensors", card, network, half=False)

    tuned = tiny_run(tmp_path / "corpus", tmp_path / "tuned", initial=tmp_path / "tiny.safetensors")

    assert not tuned.trainer.step
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tuned.student.network.state_dict()[name], tensor)
    with pytest.raises(UsageError, match="8 channels, the run 16"):
        tiny_run(
            tmp_path / "corpus",
            tmp_path / "wider",
            initial=tmp_path / "tiny.safetensors",
            channels=16,
        )


def test_a_folder_of_another_recipe_is_refused(tmp_path: Path) -> None:
    train(tiny_run(tmp_path / "corpus", tmp_path / "out"))

    with pytest.raises(UsageError, match=r"aam_margin was 0.2, now 0.3"):
        tiny_run(tmp_path / "corpus", tmp_path / "out", aam_margin=0.3)


def test_a_diverged_run_ends_with_the_last_checkpoint_whole(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "corpus", tmp_path / "out")
    train(run, until=2)
    with torch.no_grad():
        run.student.network.projection.weight.fill_(float("nan"))

    with pytest.raises(TrainingError, match=r"nan at step 2") as caught:
        train(run)

    assert "learning_rate" in caught.value.hint
    resumed = tiny_run(tmp_path / "corpus", tmp_path / "out")
    assert resumed.trainer.step == 2
    assert all(torch.isfinite(tensor).all() for tensor in weights(resumed).values())
