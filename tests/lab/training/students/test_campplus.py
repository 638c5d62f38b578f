"""CAM++ is tuned by what it hears itself: what learns, what stays, what is written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors import safe_open
from torch.nn.functional import normalize

from tests.lab.training.test_run import train, weights
from tests.lab.training.tiny import tiny_inputs, tiny_teacher
from voiceguard.encoder.card import native
from voiceguard.encoder.loading import load_encoder
from voiceguard.errors import ConfigError, UsageError
from voiceguard.lab.training.config import tuning_of
from voiceguard.lab.training.hardware import find_hardware
from voiceguard.lab.training.recipe import recipe
from voiceguard.lab.training.run import Run
from voiceguard.lab.training.speech.drawn import DrawnVoices
from voiceguard.lab.training.speech.memory import Memory
from voiceguard.lab.training.students import campplus
from voiceguard.lab.training.students.campplus import TunedCamPlusPlus, told_apart
from voiceguard.lab.training.students.kept import keep

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = (
    *("batch_s=4", "crop_s=[0.5, 1.0]", "window_s=1", "contrast_voices=16", "augment.p_room=0"),
    *("heldout_share=0", "warmup_share=0", "learning_rate=2e-4", "average_decay=0.5"),
)


def tuning_run(folder: Path, out: str) -> Run:
    """A run that tunes the tiny CAM++ on tones."""
    teacher = folder / "tiny-campplus.safetensors"
    if not teacher.exists():
        tiny_teacher(folder)
    config = recipe([*SETTINGS], num_steps=12, tuned=str(teacher))
    inputs = tiny_inputs(folder / "corpus", folder / out, num_speakers=3)
    return Run(config, inputs, find_hardware("cpu", "float32", num_threads=1))


def student_of(run: Run) -> TunedCamPlusPlus:
    assert isinstance(run.student, TunedCamPlusPlus)
    return run.student


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run at its last step; beside it, in ``stopped``, the same after two steps."""
    folder = tmp_path_factory.mktemp("tuned")
    run = tuning_run(folder, "out")
    train(run, until=2)
    shutil.copytree(folder / "out", folder / "stopped")
    train(run)
    return run


def test_it_learns_what_the_recipe_names_and_nothing_else(tuned: Run) -> None:
    losses = [row["losses"] for row in tuned.trainer.history]
    student = student_of(tuned)
    published = student.published.state_dict()
    changed = {n for n, each in weights(tuned).items() if not each.equal(published[n])}

    assert set(losses[0]) == {"loss", "raw", "distillation", "contrast", "frames"}
    assert "blocks.0.layers.1.local.weight" in changed
    assert "input_layer.weight" in changed
    for still in ("bottleneck", "transition.", "running_mean", "running_var", "num_batches"):
        assert not any(still in name for name in changed), still


def test_a_corrupted_crop_is_heard_more_like_the_clean_window(tuned: Run) -> None:
    rng, student = np.random.default_rng(5), student_of(tuned)
    source = tuned.source
    assert isinstance(source, DrawnVoices)
    batch = source.draw(48, 12000, rng)
    crops = tuned.trainer._augmenter(batch.crops, rng, speakers=batch.labels)

    def missed(embeddings: torch.Tensor) -> float:
        centred = normalize(normalize(embeddings) - source.state.mean)
        assert batch.targets is not None
        return float((1 - (centred * batch.targets).sum(dim=1)).mean())

    assert missed(student.embed(crops)) < 0.9 * missed(student.embed_before(crops))


def test_a_stopped_tuning_goes_on_as_if_it_had_not_been_stopped(tuned: Run) -> None:
    resumed = tuning_run(tuned.folder.parent, "stopped")
    assert resumed.trainer.step == 2

    train(resumed, until=4)

    assert resumed.trainer.history == tuned.trainer.history[:4]


def test_a_batch_in_parts_has_the_gradients_of_the_whole(
    tuned: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, rng = student_of(tuned), np.random.default_rng(0)
    batch = tuned.source.draw(7, 8000, rng)
    others = tuned.source.draw_targets(16, rng)
    found = []
    for seconds in (100.0, 1.5):  # all at once; three, three and one
        monkeypatch.setitem(campplus._LEARNT_AT_ONCE_S, "cpu", seconds)
        student.network.zero_grad()
        losses = student.learn(batch.crops, batch, others, 0, rng)
        found.append((losses, [each.grad for each in student.learning()]))

    (whole, gradients), (parts, added) = found
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, msg=name)
    for one, other in zip(gradients, added, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_what_is_written_makes_the_published_encoder_the_tuned_one(tuned: Run) -> None:
    student, average = student_of(tuned), weights(tuned)
    published = {name: each.clone() for name, each in student.published.state_dict().items()}
    kept = keep(tuned, command="train", compute="no time", licence=None, half=None)
    assert kept.tuning is not None

    tensors = safetensors.numpy.load(kept.tuning.read_bytes())
    with safe_open(kept.tuning, "np") as file:
        about = json.loads(file.metadata()["voiceguard"])
    assert {each.dtype for each in tensors.values()} == {np.dtype(np.float16)}
    for name, array in tensors.items():
        expected = published[name].lerp(average[name], 0.75).half().numpy()
        np.testing.assert_array_equal(array, expected, err_msg=name)
    base, content = native.read_checked(tuned.folder.parent / "tiny-campplus.safetensors")
    over = safetensors.numpy.load(content) | {n: x.astype(np.float32) for n, x in tensors.items()}
    again = native.save_arrays(tuned.folder / "again.safetensors", base, over)
    card = native.read_card(native.card_path(kept.model))
    assert again.encoder_id == card.encoder_id != base.encoder_id
    assert load_encoder(str(kept.model), "cpu").info.encoder_id == card.encoder_id
    assert {name: about[name] for name in ("format", "format_version", "base", "share")} == {
        "format": "voiceguard-tuning",
        "format_version": 1,
        "base": base.encoder_id,
        "share": 0.75,
    }
    assert about["recipe"] | {"begun_with": card.recipe["begun_with"]} == card.recipe
    assert about["data"][0]["num_speakers"] == 3
    assert about["trained_on"] in card.trained_on
    assert about["licence"] == card.licence == "none"
    assert card.recipe["begun_with"]["encoder_id"] == base.encoder_id


def test_voices_that_may_be_the_same_are_not_told_apart() -> None:
    own = torch.tensor([[1.0, 0.0]])
    near, far = torch.tensor([[0.8, 0.6]]), torch.tensor([[0.0, 1.0]])

    def loss(others: torch.Tensor) -> float:
        return float(told_apart(own, own, others, scale=2.0, apart=0.6))

    assert loss(near) == pytest.approx(0, abs=1e-6)
    assert loss(torch.cat([near, far])) == pytest.approx(float(np.log1p(np.exp(-2))), abs=1e-6)


def test_what_cannot_be_tuned_is_said(tmp_path: Path) -> None:
    inputs = tiny_inputs(tmp_path / "corpus", tmp_path / "out")
    hardware = find_hardware("cpu", "float32", num_threads=1)
    with pytest.raises(UsageError, match="default is no CAM\\+\\+"):
        Run(tuning_of("default"), inputs, hardware)
    with pytest.raises(UsageError, match="--init another"):
        Run(tuning_of("default"), replace(inputs, initial=tmp_path), hardware)
    card, network = campplus.load_published(str(tiny_teacher(tmp_path)))
    config = recipe(['tuning.learns=["norm", "voice"]'], tuned="tiny")
    with pytest.raises(ConfigError, match="'voice', which is part of no"):
        TunedCamPlusPlus(config, Memory(192, None, 16), hardware, card, network)
