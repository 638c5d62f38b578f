"""A whole training run, from a corpus to a model file: gather, voice, train, finish.

In: a corpus, noise, rooms, a recipe. Out: in the run's folder, a checkpoint to go on from, a plot
of its course, and at the end the model with its card. Stopped at any moment and started again
with the same arguments, it goes on where it was.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from voiceguard.encoder.loading import load_encoder
from voiceguard.errors import StateError
from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.progress import untracked
from voiceguard.lab.training.checkpoint import NAME as CHECKPOINT
from voiceguard.lab.training.config import NO_TEACHER
from voiceguard.lab.training.corruption.augment import Augmenter
from voiceguard.lab.training.corruption.rooms import load_noises, load_rooms, simulate_rooms
from voiceguard.lab.training.inputs import corruption_key, material_key, voices_key
from voiceguard.lab.training.needs import check_inputs, check_space, without_short
from voiceguard.lab.training.sources import Listening, make_source, settled, shortest_s
from voiceguard.lab.training.speech.heldout import choose_heldout, make_heldout
from voiceguard.lab.training.speech.material import (
    MIN_SPEAKERS,
    MIN_TUNING_SPEAKERS,
    gather,
    store_material,
    stored_material,
)
from voiceguard.lab.training.speech.teachers import Teachers
from voiceguard.lab.training.students.made import begun_with, make_student
from voiceguard.lab.training.trainer import Trainer
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.lab.corpora.corpus import Skip
    from voiceguard.lab.progress import Track
    from voiceguard.lab.training.config import TrainingConfig
    from voiceguard.lab.training.hardware import Hardware
    from voiceguard.lab.training.inputs import Inputs, Schedule
    from voiceguard.lab.training.speech.material import Material
    from voiceguard.lab.training.trainer import Progress

NUM_SIMULATED_ROOMS = 400
_WHITENING_BATCHES, _WHITENING_BATCH = 128, 64
_WHITENING_LENGTHS_S = (1.0, 2.0, 3.0)


class Finished(NamedTuple):
    """A run's end."""

    network: nn.Module
    """On the CPU."""
    before: dict[str, float]
    """EERs on held-out speakers before the last turn; of a tuning: as published."""
    eers: dict[str, float]
    """Of the network."""


class Run:
    """One run in its folder.

    Args:
        config: The recipe.
        inputs: Corpus and folders.
        hardware: To compute with.
        track: Shows progress of the preparations.

    Raises:
        UsageError: The data is unfit, or the folder holds a run with other settings.
        EncoderError: The teacher or the initial model cannot be loaded.
        StateError: The folder cannot be written.
    """

    def __init__(
        self,
        config: TrainingConfig,
        inputs: Inputs,
        hardware: Hardware,
        *,
        track: Track = untracked,
    ) -> None:
        self.folder = inputs.out
        self._hardware = hardware
        self._track = track
        begun = begun_with(inputs.initial, config)
        self.initial = None if begun is None else begun[0]
        _make_folder(self.folder)
        check_inputs(inputs, config)
        teacher = _teacher(config, hardware)
        listening = None if teacher is None else Listening.by(config, teacher, hardware)
        self.config = config = settled(config, listening)
        self.material = _material(inputs, config, teacher, track)
        passages = self.material.passages
        heldout = choose_heldout(passages, config.heldout_share, config.seed)
        self.num_heldout = len(heldout)
        learnt = [speaker for speaker in self.material.speakers if speaker not in set(heldout)]
        self._augment, found = _augmenters(inputs, config, track)
        inputs.on_skips([*self.material.skips, *found])
        augmenter = self._augment(hardware.device)
        with _writing_to(self.folder):
            self.source = make_source(
                passages, learnt, inputs, config, listening, hardware, track, augmenter=augmenter
            )
        self.num_apart = self.source.num_speakers - len(learnt)
        hardware.use_threads()
        self.student = make_student(config, self.source, hardware, begun)
        self.trainer = Trainer(
            config,
            self.student,
            self.source,
            augmenter,
            hardware,
            heldout=make_heldout(passages, heldout, self._augment("cpu"), config.seed),
            run=_identity(inputs, config, teacher, self.initial),
        )
        self.checkpoint = self.folder / CHECKPOINT
        if self.checkpoint.exists():
            self.trainer.resume(self.checkpoint)
        else:
            self.trainer.begin(track)

    def train(
        self,
        schedule: Schedule,
        *,
        on_report: Callable[[Progress], None],
        is_stopped: Callable[[], bool],
    ) -> bool:
        """Trains until the last step or until stopped, and saves; True at the last step.

        Raises:
            TrainingError: The loss is not finite; the last checkpoint stands.
            StateError: A checkpoint could not be written.
        """
        saved_at = self.trainer.step

        def reported(progress: Progress) -> None:
            nonlocal saved_at
            on_report(progress)
            if progress.step - saved_at >= schedule.save_every:
                self.trainer.save(self.checkpoint)
                saved_at = progress.step

        self.trainer.train(
            report_every=schedule.report_every,
            heldout_every=schedule.heldout_every,
            said_every_s=schedule.said_every_s,
            on_report=reported,
            is_stopped=is_stopped,
        )
        if self.trainer.step != saved_at:
            self.trainer.save(self.checkpoint)
        return self.trainer.step == self.config.num_steps

    def finish(self) -> Finished:
        """What is kept of the average: turned, or the tuning's share of it."""
        student = self.student
        before = self.trainer.measure_by(student.embed_before)
        student.finish(self._crops_of_voices())
        after = self.trainer.measure()
        # Last: this moves the network itself, and on the device nothing could embed by it any more.
        return Finished(student.average.cpu(), before, after)

    def _crops_of_voices(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Corrupted crops ``(batch, num_samples)`` of everybody's voices, labels ``(batch,)``."""
        rng = seeded(self.config.seed, "whitening")
        augmenter = self._augment(self._hardware.device)
        # No more batches than the run itself had: a trial run ends in no time.
        turns = range(min(_WHITENING_BATCHES, self.config.num_steps))
        for turn in self._track(turns, "the last turn"):
            length_s = _WHITENING_LENGTHS_S[turn % len(_WHITENING_LENGTHS_S)]
            batch = self.source.draw_voices(_WHITENING_BATCH, int(length_s * SAMPLE_RATE_HZ), rng)
            yield augmenter(batch.crops, rng), batch.labels


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"folder {folder} cannot be made: {error.strerror}", hint="Name another with --out."
        ) from error


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(
            f"what the run keeps in {folder} cannot be written: {error.strerror}",
            hint="Make room and run the same command again, or name another --out.",
        ) from error


def _teacher(config: TrainingConfig, hardware: Hardware) -> Teachers | None:
    if config.teacher == NO_TEACHER:
        return None
    device = str(hardware.device)
    num = hardware.num_threads if hardware.device.type == "cpu" else 1
    return Teachers(lambda: load_encoder(config.teacher, device), num)


def _identity(
    inputs: Inputs,
    config: TrainingConfig,
    teacher: Teachers | None,
    initial: ModelCard | None,
) -> dict[str, Any]:
    """What a checkpoint is bound to."""
    run = {
        "config": config.to_json(),
        "material": voices_key(inputs, config, teacher),
        "corruption": corruption_key(inputs),
    }
    return run if initial is None else {**run, "initial": initial.encoder_id}


def _material(
    inputs: Inputs, config: TrainingConfig, teacher: Teachers | None, track: Track
) -> Material:
    """What is learnt from, decoded before or now; checked that all its voices have room."""
    key = material_key(inputs, config)
    material = stored_material(inputs.out, key)
    if material is None:
        knows_voices = inputs.initial is not None or config.tuning is not None
        material = gather(
            inputs.corpus,
            max_speaker_s=config.max_speaker_s,
            min_speakers=MIN_TUNING_SPEAKERS if knows_voices else MIN_SPEAKERS,
            seed=config.seed,
            track=track,
        )
        with _writing_to(inputs.out):
            store_material(material, inputs.out, key)
    if teacher is not None:
        material = without_short(material, shortest_s(config, teacher))
    check_space(inputs.out, material, config)
    return material


def _augmenters(
    inputs: Inputs, config: TrainingConfig, track: Track
) -> tuple[Callable[[torch.device | str], Augmenter], list[Skip]]:
    """Makes augmenters of the same noise and rooms; and what of those was unreadable."""
    noises: list[Tensor] = []
    music: list[Tensor] = []
    rooms: list[Tensor] = []
    skips: list[Skip] = []
    if inputs.noise is not None:
        noises, music, found = load_noises(inputs.noise, split=inputs.split)
        skips += found
    if config.augment.p_room:
        rng = seeded(config.seed, "rooms")
        hall_share = config.augment.hall_share
        rooms.append(simulate_rooms(NUM_SIMULATED_ROOMS, rng, hall_share=hall_share, track=track))
        if inputs.rooms is not None:
            measured, found = load_rooms(inputs.rooms, split=inputs.split)
            rooms.append(measured)
            skips += found

    def make(device: torch.device | str) -> Augmenter:
        return Augmenter(config.augment, noises=noises, music=music, rooms=rooms, device=device)

    return make, skips
