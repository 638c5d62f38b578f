"""A teacher hears windows as the program does, one by one or all at once; others have no frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from tests.fakes import PitchEncoder, tone
from tests.lab.training.tiny import tiny_teacher
from voiceguard.encoder.card import native
from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.networks.campplus import CamPlusPlus
from voiceguard.lab.training.hardware import find_hardware
from voiceguard.lab.training.speech.hearing import EncoderTeacher, FrameTeacher, window_teacher
from voiceguard.lab.training.speech.teachers import Teachers

if TYPE_CHECKING:
    from pathlib import Path

HARDWARE = find_hardware("cpu", "float32", num_threads=1)
WINDOWS = np.stack([tone(300.0 + 200 * number, 1.0, seed=number) for number in range(3)])


def test_campplus_gives_the_programs_embeddings_and_frames_both_ways(tmp_path: Path) -> None:
    path = tiny_teacher(tmp_path)
    teachers = Teachers(lambda: load_encoder(str(path), "cpu"))
    teacher = window_teacher(str(path), teachers, HARDWARE)
    assert isinstance(teacher, FrameTeacher)

    heard = teacher(torch.from_numpy(WINDOWS))
    at_once = teacher.at_once(torch.from_numpy(WINDOWS))

    unit = torch.nn.functional.normalize(heard.embeddings).numpy()
    np.testing.assert_allclose(unit, np.stack(teachers.embed([*WINDOWS], "")), atol=1e-4)
    assert heard.frames is not None
    assert at_once.frames is not None
    assert heard.frames.shape[:2] == (3, teacher.frame_channels)
    torch.testing.assert_close(at_once.frames, heard.frames, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(at_once.embeddings, heard.embeddings, rtol=1e-3, atol=1e-3)


def test_several_cores_hear_the_same_in_the_same_order(tmp_path: Path) -> None:
    card, network = native.load(tiny_teacher(tmp_path))
    assert isinstance(network, CamPlusPlus)
    windows, before = torch.from_numpy(WINDOWS), torch.get_num_threads()

    one, several = (
        FrameTeacher(card, network, find_hardware("cpu", "float32", num_threads=num))(windows)
        for num in (1, 4)  # more than there are windows
    )

    torch.testing.assert_close(several.embeddings, one.embeddings, rtol=0, atol=0)
    torch.testing.assert_close(several.frames, one.frames, rtol=0, atol=0)
    assert torch.get_num_threads() == before


def test_any_other_encoder_hears_the_whole_alone() -> None:
    teacher = window_teacher("default", Teachers(PitchEncoder), HARDWARE)

    heard = teacher(torch.from_numpy(WINDOWS))

    assert isinstance(teacher, EncoderTeacher)
    assert teacher.frame_channels is None
    assert heard.frames is None
    assert heard.embeddings.shape == (3, teacher.dim)
