"""Hops 4 and 5 of 6 for one stream: evidence in, decisions out, each stamped with its times.

Event loop. In: the embeddings of a segment's windows, as they come, and the segment's end. Out:
provisional decisions while it grows, where they say something new, then exactly one final one,
handed to hop 6.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from voiceguard.clock import elapsed_s
from voiceguard.decisions.result import Decision
from voiceguard.pipeline.segments import SegmentEvidence
from voiceguard.scoring.policy import Evidence
from voiceguard.types import SAMPLE_RATE_HZ, EndCause, Outcome, Reason, Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import DecisionSink, Judgement
    from voiceguard.pipeline.channel import Arrival
    from voiceguard.pipeline.inference import Inferred
    from voiceguard.pipeline.judge import Judge
    from voiceguard.protocols import StreamWatcher
    from voiceguard.speech.ear import Heard
    from voiceguard.types import SegmentEnd


class Decider:
    """Collects the evidence of the segment at hand and puts it to the judge.

    Args:
        stream: The stream's name.
        judge: The judge in force at this moment; voiceprints may change any time.
        sink: Hop 6.
        clock: For the stamps.
        max_window_samples: The length to which windows grow.
        min_window_speech_s: Net speech of the shortest window.
        watcher: Follows the scores, for display.
    """

    def __init__(
        self,
        stream: str,
        *,
        judge: Callable[[], Judge],
        sink: DecisionSink,
        clock: Clock,
        max_window_samples: int,
        min_window_speech_s: float,
        watcher: StreamWatcher | None = None,
    ) -> None:
        self.num_segments = 0
        self.speech_s = 0.0
        self._stream = stream
        self._judge = judge
        self._sink = sink
        self._clock = clock
        self._max_window_samples = max_window_samples
        self._min_window_speech_s = min_window_speech_s
        self._watcher = watcher
        self._evidence: SegmentEvidence | None = None
        self._provisional: Decision | None = None
        self._provisional_accept: Decision | None = None

    def _evidence_of(self, segment: int) -> SegmentEvidence:
        """What is known of this segment; fresh when another one begins."""
        if self._evidence is None or self._evidence.segment != segment:
            self._evidence = SegmentEvidence(segment, self._max_window_samples)
            self._provisional = self._provisional_accept = None
        return self._evidence

    def is_decided_on(self, item: Heard) -> bool:
        """Whether a decision may come of this very stretch: a look that is due, or the end."""
        return not isinstance(item, Window) or (not item.is_probe and self._is_look_due(item))

    def take(self, item: Heard, inferred: Inferred, arrival: Arrival) -> int | None:
        """Takes in what was heard, and publishes what can be decided by now.

        The end of a segment leads to its final decision, exactly one; a window to a provisional
        one, where one is due and says something new. A segment in which inference has failed is
        never accepted.

        Args:
            item: A window, a probe, or the end of a segment.
            inferred: What the networks made of it.
            arrival: When its audio came.

        Returns:
            Where another voice took over, if a probe tells: the first sample that is not surely
            the earlier voice's. None where the voice is the same, or nobody knows how unlike two
            stretches of one voice can be.
        """
        evidence = self._evidence_of(item.segment)
        evidence.inference_failed |= inferred.has_failed
        if not isinstance(item, Window):
            evidence.heard_two_voices |= inferred.hears_two
            self._conclude(item, evidence, arrival)
        elif inferred.embedding is not None:
            evidence.add(item, inferred.embedding)
            if item.is_probe:
                return self._change_sample(evidence)
            self._show(item, evidence)
            # Judge and policy may have changed meanwhile: a look that is due only since waits.
            if inferred.is_decided_on and self._is_look_due(item):
                self._look(item, evidence, arrival, hears_two=inferred.hears_two)
        return None

    def _change_sample(self, evidence: SegmentEvidence) -> int | None:
        change_cosine = self._judge().change_cosine
        return None if change_cosine is None else evidence.change_sample(change_cosine)

    def note_change(self, segment: int, boundary: int, *, is_cut: bool) -> None:
        """Another voice took over at this sample.

        Args:
            segment: In this segment.
            boundary: The other voice's first sample.
            is_cut: Whether the segment ends there; else it is over already, and its final decision
                says what was heard.
        """
        evidence = self._evidence_of(segment)
        if is_cut:
            evidence.cut_back(boundary)
        else:
            evidence.heard_two_voices = True

    def _is_look_due(self, window: Window) -> bool:
        """Whether a provisional result may come of this window."""
        policy = self._judge().policy
        # Else nothing is left of the error budget, or it is better spent later.
        return (
            self._evidence_of(window.segment).num_looks < policy.max_looks
            and window.segment_speech_s >= policy.look_from_s
        )

    def _look(
        self, window: Window, evidence: SegmentEvidence, arrival: Arrival, *, hears_two: bool
    ) -> None:
        evidence.num_looks += 1
        decision = self._judged(
            evidence,
            Evidence(
                net_speech_s=window.segment_speech_s,
                snr_db=window.snr_db,
                is_final=False,
                look=evidence.num_looks,
                impediment=Reason.MORE_THAN_ONE_VOICE if hears_two else None,
            ),
            evidence.windows[0][0].first_sample,
            window.end_sample,
            arrival,
        )
        last = self._provisional
        if last is None or (last.outcome, last.speaker) != (decision.outcome, decision.speaker):
            self._provisional = decision
            if decision.outcome is Outcome.ACCEPTED:
                self._provisional_accept = decision
            self._sink.publish(decision)

    def _show(self, window: Window, segment: SegmentEvidence) -> None:
        """The scores so far to whoever watches; no look that the error budget pays for."""
        if self._watcher is None or not self._watcher.wants_progress:
            return
        evidence = Evidence(
            net_speech_s=window.segment_speech_s, snr_db=window.snr_db, is_final=False
        )
        scores = self._judge().score(segment.pooled(), evidence)
        self._watcher.scored(self._stream, window, scores)

    def _conclude(self, end: SegmentEnd, evidence: SegmentEvidence, arrival: Arrival) -> None:
        self.num_segments += 1
        self.speech_s += end.net_speech_s
        decision = self._judged(
            evidence,
            Evidence(
                net_speech_s=end.net_speech_s,
                snr_db=end.snr_db,
                is_final=True,
                impediment=self._impediment(evidence, end),
                clear_share=end.clear_share,
            ),
            end.first_sample,
            end.end_sample,
            arrival,
        )
        self._evidence = None
        self._sink.publish(decision)

    def _impediment(self, evidence: SegmentEvidence, end: SegmentEnd) -> Reason | None:
        """What forbids an accept whatever the scores say."""
        if end.cause is EndCause.GAP:
            return Reason.AUDIO_LOST
        if evidence.inference_failed:
            return Reason.INFERENCE_FAILED
        if evidence.heard_two_voices:
            return Reason.MORE_THAN_ONE_VOICE
        if not evidence.windows and end.net_speech_s >= self._min_window_speech_s:
            return Reason.OVERLOADED
        return None

    def _judged(
        self,
        segment: SegmentEvidence,
        evidence: Evidence,
        first_sample: int,
        end_sample: int,
        arrival: Arrival,
    ) -> Decision:
        judge = self._judge()
        judgement = judge.judge(segment.pooled(), evidence)
        start_s, end_s = first_sample / SAMPLE_RATE_HZ, end_sample / SAMPLE_RATE_HZ
        now = self._clock.utc()
        now_s = elapsed_s(self._clock) - arrival.suspended_s  # on the arrival's clock

        def utc_of(monotonic_s: float) -> datetime:
            return now - timedelta(seconds=now_s - monotonic_s)

        delivered_at = utc_of(arrival.delivered_at_s)
        return Decision(
            decision_id=str(uuid.uuid4()),
            stream=self._stream,
            segment=segment.segment,
            judgement=judgement,
            start_s=start_s,
            end_s=end_s,
            started_at=utc_of(arrival.opened_at_s + start_s),
            ended_at=utc_of(arrival.opened_at_s + end_s),
            delivered_at=delivered_at,
            decided_at=now,
            expires_at=delivered_at + timedelta(seconds=judge.policy.expiry_s),
            revokes=self._taken_back(judgement) if evidence.is_final else None,
            turn_id=arrival.turn_id,
        )

    def _taken_back(self, judgement: Judgement) -> str | None:
        """The id of the provisional accept that a final judgement does not confirm."""
        earlier = self._provisional_accept
        if earlier is None:
            return None
        confirms = (judgement.outcome, judgement.speaker) == (earlier.outcome, earlier.speaker)
        return None if confirms else earlier.decision_id
