"""Cascade: a sensitive trigger, and a judge that listens only while it is open (hop 2 of 6).

On the caller's thread. In: mono 16 kHz blocks of any size. Out: one score per 10 ms frame: the
trigger's own within reach of what the judge hears as speech, and no speech elsewhere.

The judge starts late and overlooks breaths and soft endings, so that a run of speech reaches beyond
itself, by half its length at most: a bark or a note that sounded like a vowel for 0.25 s does not
become a second of speech. A frame that the trigger takes for speech waits until the judge has
made up its mind, at most MAX_WAIT_FRAMES; all others are scored at once, so that pauses end
segments as early as they do without a judge.

Where noise is between the words, it is measured: frames that are left out are the room's.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.types import FRAME_S, FRAME_SAMPLES

if TYPE_CHECKING:
    from voiceguard.protocols import VoiceActivityDetector
    from voiceguard.types import Samples

REACH_FRAMES = 30
REACH_SHARE = 0.5
"""Of a run's length. Chosen with MIN_RUN_FRAMES on noise of the split train and speech of eval."""

MIN_RUN_FRAMES = 20
"""A shorter run of speech is a click or a note; the network's makers ask for 25."""

MAX_WAIT_FRAMES = REACH_FRAMES + round(REACH_FRAMES / REACH_SHARE)
"""Until the longest run that can reach back to a frame has reached it, or has ended."""

LEAD_FRAMES = 32
"""What the judge hears of the time before the trigger opened, to find its feet."""

HOLD_FRAMES = MAX_WAIT_FRAMES + 5
"""For so long after the trigger's last speech the judge goes on: nothing is left undecided, and it
keeps its state from word to word."""

CLEAR_SCORE = 0.9
"""Probabilities from here on are clear speech: people get there in most of their frames, in noise
too, crying babies and birds in few."""
_MAX_CLEAR_FRAMES = 6000
"""As many as the longest segment can have."""

JUDGED_RMS = 0.1
ROOM_TO_SPEECH = 10.0
QUIETEST_RMS = 1e-4
"""What the judge hears is brought to -20 dB full scale by what was loudest since the trigger
opened, and by ten times what was there before that (speech is supposed to be 20 dB above the
room), but never raised from below -80 dB: what it says does not depend on the level. Without the
supposition the room's noise comes as loud as speech, and of clean utterances 3 % are not heard."""


class CascadeVad:
    """A trigger's scores wherever a judge hears speech. Implements ``VoiceActivityDetector``.

    Args:
        trigger: Hears all speech, and other things; a fresh one.
        judge: Hears speech only; a fresh one.
    """

    def __init__(self, trigger: VoiceActivityDetector, judge: VoiceActivityDetector) -> None:
        self.enter_score = trigger.enter_score
        self.exit_score = trigger.exit_score
        self._trigger = trigger
        self._judge = judge
        self._num_left_out = 0
        self._kept: Samples = np.empty(0, dtype=np.float32)
        """From frame ``_kept_from`` on."""
        self._kept_from = 0
        self._num_frames = 0
        """Scored by the trigger."""
        self._is_open = False
        self._pending: deque[float] = deque()
        """The trigger's scores of the latest frames, for which the judge is awaited."""
        self._clear: deque[int] = deque(maxlen=_MAX_CLEAR_FRAMES)
        """Frames that the judge was sure of, rising."""

    def take_clear(self, first: int, end: int) -> int:
        """How many of these frames the judge was sure of."""
        num_clear = 0
        while self._clear and self._clear[0] < end:
            num_clear += self._clear.popleft() >= first
        return num_clear

    @property
    def left_out_s(self) -> float:
        """What the trigger alone took for speech."""
        return self._num_left_out * FRAME_S

    def push(self, samples: Samples) -> list[float]:
        self._kept = np.concatenate((self._kept, samples))
        scores = self._trigger.push(samples)
        settled: list[float] = []
        if self._is_open or max(scores, default=-math.inf) >= self.enter_score:
            for score in scores:
                self._take(score, settled)
            self._consult(settled)
        else:  # nearly always: nobody speaks
            self._num_frames += len(scores)
            settled = scores
        self._drop_heard()
        return settled

    def finish(self) -> list[float]:
        settled: list[float] = []
        if self._is_open:
            for score in self._judge.finish():
                self._note(score)
                self._settle(settled)
            self._is_open = False
            self._settle(settled)
        return settled

    def reset(self) -> None:
        self._trigger.reset()
        self._kept = self._kept[:0]
        self._kept_from = self._num_frames = 0
        self._is_open = False
        self._pending.clear()
        self._clear.clear()

    def _take(self, score: float, settled: list[float]) -> None:
        """The trigger's next score."""
        frame = self._num_frames
        self._num_frames += 1
        if not self._is_open:
            if score < self.enter_score:
                settled.append(score)
                return
            self._open(frame)
        self._pending.append(score)
        if score >= self.exit_score:
            self._open_until = frame + HOLD_FRAMES
        elif frame >= self._open_until:
            self._consult(settled)
            self._is_open = False
            self._settle(settled)

    def _open(self, frame: int) -> None:
        self._is_open = True
        self._judge.reset()
        self._loudest = 0.0
        """Root mean square of a frame, full scale 1."""
        self._num_judged = self._num_given = max(self._kept_from, frame - LEAD_FRAMES)
        self._run_first: int | None = None
        """Where the judge's present run of speech began."""
        self._earlier: list[range] = []
        """Frames within reach of earlier runs."""
        self._present = range(0)
        """Within reach of the present one."""

    def _consult(self, settled: list[float]) -> None:
        """Has the judge hear what the trigger has scored, and settles what that decides."""
        if not self._is_open or self._num_given == self._num_frames:
            return
        start, end = (
            (frame - self._kept_from) * FRAME_SAMPLES
            for frame in (self._num_given, self._num_frames)
        )
        self._num_given = self._num_frames
        for score in self._judge.push(self._made_loud(self._kept[start:end])):
            self._note(score)
            self._settle(settled)

    def _made_loud(self, samples: Samples) -> Samples:
        frames = samples.reshape(-1, FRAME_SAMPLES)
        rms = np.sqrt(np.mean(np.square(frames), axis=1))
        loudest = np.empty(len(rms))
        for i, level in enumerate(rms.tolist()):
            self._loudest = loudest[i] = max(level, self._loudest or ROOM_TO_SPEECH * level)
        gains = JUDGED_RMS / np.maximum(loudest, QUIETEST_RMS)
        louder: Samples = (frames * gains[:, np.newaxis]).astype(np.float32).ravel()
        return louder

    def _note(self, score: float) -> None:
        """The judge's next score."""
        if self._run_first is None:
            if score >= self._judge.enter_score:
                self._run_first = self._num_judged
        elif score < self._judge.exit_score:
            self._run_first = None
            first_pending = self._num_frames - len(self._pending)
            self._earlier = [r for r in (*self._earlier, self._present) if r.stop > first_pending]
            self._present = range(0)
        if score >= CLEAR_SCORE and (not self._clear or self._clear[-1] < self._num_judged):
            self._clear.append(self._num_judged)  # opened again, it hears some frames twice
        self._num_judged += 1
        if self._run_first is not None:
            length = self._num_judged - self._run_first
            if length >= MIN_RUN_FRAMES:
                reach = min(REACH_FRAMES, round(REACH_SHARE * length))
                self._present = range(self._run_first - reach, self._num_judged + reach)

    def _settle(self, settled: list[float]) -> None:
        """Gives out the oldest frames that are decided."""
        while self._pending:
            frame = self._num_frames - len(self._pending)
            score = self._pending[0]
            is_confirmed = frame in self._present or any(frame in each for each in self._earlier)
            if score >= self.exit_score and not is_confirmed:
                first = self._num_judged if self._run_first is None else self._run_first
                if self._is_open and frame + REACH_FRAMES >= first:
                    return  # the judge may yet hear speech within reach
                score = -math.inf
                self._num_left_out += 1
            settled.append(score)
            self._pending.popleft()

    def _drop_heard(self) -> None:
        """Keeps the audio that the judge may still be given."""
        first = self._num_given if self._is_open else self._num_frames - LEAD_FRAMES
        if first > self._kept_from:
            self._kept = self._kept[(first - self._kept_from) * FRAME_SAMPLES :]
            self._kept_from = first
