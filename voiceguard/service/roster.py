"""The voiceprints in force: read from the store, kept up to date, turned into a Judge.

Event loop; files are read on the I/O executor, one look at a time. A store that cannot be read (a
missing key, say) or does not answer (a network mount that is gone) leaves nobody to accept, and
says why in ``fault``: what was read before may no longer be true.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from voiceguard.decisions.wire import rounded
from voiceguard.enrollment import appraise
from voiceguard.errors import ConfigError, VoiceguardError
from voiceguard.marks.store import LoadedMarks, MarkStore
from voiceguard.people.checking import check_enrolled
from voiceguard.scoring.policy import final_threshold
from voiceguard.validation.boundary import in_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from concurrent.futures import Executor

    from voiceguard.pipeline.judge import Judge
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.service.kit import Kit
    from voiceguard.types import Voiceprint
    from voiceguard.voiceprints.reading import Generation, LoadedVoiceprints, Refusal
    from voiceguard.voiceprints.store import VoiceprintStore

log = structlog.get_logger(__name__)

LOOK_TIMEOUT_S = 5.0
"""What one look at store and key may take. A healthy one takes milliseconds, a disk that sleeps
some seconds."""


class _Look(NamedTuple):
    generation: Generation
    """What the store was like."""
    loaded: LoadedVoiceprints | None = None
    """What it holds; None: that has not changed."""
    qualities: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - a tuple's default, never changed
    """How good that is."""
    marks: LoadedMarks = LoadedMarks({}, {})


class Roster:
    """Who is enrolled, as of the last look.

    Args:
        kit: Makes the judge, and names the encoder that voiceprints must be of.
        store: Where they are.
        executor: For reading files.
        timeout_s: After how long a look under way is a fault.
    """

    def __init__(
        self,
        kit: Kit,
        store: VoiceprintStore,
        executor: Executor,
        *,
        timeout_s: float = LOOK_TIMEOUT_S,
    ) -> None:
        self.judge: Judge = kit.make_judge(())
        self.speakers: tuple[tuple[str, str], ...] = ()
        """Name and display name of each, in order."""
        self.refusals: tuple[Refusal, ...] = ()
        self.fault = ""
        """Why nobody can be recognised though somebody is enrolled; empty when all is well."""
        self._qualities: dict[str, dict[str, Any]] = {}
        self._marks = LoadedMarks({}, {})
        self._kit = kit
        self._policy = kit.settings.policy
        self._store = store
        self._executor = executor
        self._timeout_s = timeout_s
        self._generation: Generation | None = None
        self._look: asyncio.Future[_Look] | None = None
        self._ever_enrolled: set[str] = set()

    def use_policy(self, policy: PolicyConfig) -> None:
        """From now on decisions are made by this one."""
        self._policy = policy
        self.judge = replace(self.judge, policy=policy)

    async def watch(
        self, reload: asyncio.Event, poll_s: float
    ) -> AsyncIterator[tuple[tuple[str, str], ...]]:
        """Gives the speakers whenever they, or the fault, may have changed.

        Args:
            reload: Set to look now, at all of it.
            poll_s: How often to look otherwise, in seconds.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poll_s):
                    await reload.wait()
            force = reload.is_set()
            reload.clear()
            if await self.refresh(force=force):
                yield self.speakers

    async def refresh(self, *, force: bool = False) -> bool:
        """Looks at the store, and reads it where it has changed since the last look.

        Returns:
            Whether who is enrolled, or the fault, may have changed.
        """
        if force:
            self._generation = None
        try:
            look = await self._finish_look()
            if look.loaded is None and look.generation != self._generation:
                # It began before we lost sight of the store: "as before" is not good enough.
                look = await self._finish_look()
            if look.loaded is None:
                return False
            self._qualities, self._marks = look.qualities, look.marks
            self._take(look.loaded)
        except TimeoutError:
            return self._lose(
                f"the voiceprints in {self._store.directory} or their key can't be looked at: no "
                f"answer for {self._timeout_s:g} s"
            )
        except VoiceguardError as error:
            return self._lose(str(error))
        except Exception as error:
            log.exception("voiceprints_unreadable", error=in_words(error))
            return self._lose(f"the voiceprints can't be used: {in_words(error)}")
        self._generation = look.generation
        return True

    async def _finish_look(self) -> _Look:
        """The one that is still under way, or a new one: those that hang must not pile up."""
        if self._look is None:
            loop = asyncio.get_running_loop()
            known = self._generation
            self._look = loop.run_in_executor(self._executor, self._see, known)
        done, _ = await asyncio.wait({self._look}, timeout=self._timeout_s)
        if not done:
            raise TimeoutError
        look, self._look = self._look, None
        return look.result()

    def _see(self, known: Generation | None) -> _Look:
        """Blocking."""
        generation = self._store.generation()
        if generation == known:
            return _Look(generation)
        encoder_id = self._kit.encoder.info.encoder_id
        loaded = self._kit.comparable(self._store.load_all(encoder_id=encoder_id))
        marks = MarkStore(self._store).load_all(each.speaker for each in loaded.voiceprints)
        return _Look(generation, loaded, self._appraise(loaded.voiceprints), marks)

    def qualities(self) -> dict[str, dict[str, Any]]:
        """Of each speaker's voiceprint, as the status has it."""
        return {
            speaker: {**quality, **self._marked(speaker)}
            for speaker, quality in self._qualities.items()
        }

    def _marked(self, speaker: str) -> dict[str, Any]:
        """What marks of right and wrong have done to the threshold."""
        calibration, adaptation = self._kit.calibration, self.judge.adaptations.get(speaker)
        told: dict[str, Any] = {"num_marks": len(self._marks.marks.get(speaker, ()))}
        if speaker in self._marks.refused:
            told["marks_fault"] = self._marks.refused[speaker]
        if calibration is None:
            return told
        num_voiceprints = len(self.judge.scorer.speakers)
        anchor_llr, moved = final_threshold(self._policy, num_voiceprints, calibration, adaptation)
        return {
            **told,
            "threshold": str(moved.standing),
            "shift_llr": rounded(moved.llr - anchor_llr, 3),
        }

    def _appraise(self, voiceprints: Sequence[Voiceprint]) -> dict[str, dict[str, Any]]:
        """In a word how well each will do, beside all the others."""
        found = {}
        for each in voiceprints:
            expected = self._kit.predict_acceptance(each, num_voiceprints=len(voiceprints))
            speech_s = sum(template.net_speech_s for template in each.templates)
            found[each.speaker] = {
                "name": each.display_name,
                "quality": str(appraise(each, expected).quality),
                "net_speech_s": rounded(speech_s, 1),
                "num_takes": len(each.templates),
            }
        return found

    def _take(self, loaded: LoadedVoiceprints) -> None:
        judge = self._kit.make_judge(loaded.voiceprints, marks=self._marks.marks)
        self.judge = replace(judge, policy=self._policy)
        self.speakers = tuple((each.speaker, each.display_name) for each in loaded.voiceprints)
        self.refusals = loaded.refusals
        self.fault = ""
        if loaded.refusals and not loaded.voiceprints:
            first = loaded.refusals[0]
            self.fault = f"no voiceprint is usable: {first.reason} ({first.hint})"
        log.info(
            "voiceprints_loaded",
            speakers=[name for name, _ in self.speakers],
            refused=[refusal.speaker for refusal in loaded.refusals],
        )
        self._look_for_named()

    def _look_for_named(self) -> None:
        """Nobody is accepted while people's rules name somebody who was never enrolled.

        It may be a name misspelt, and whom it means would go by no rule. Whoever was enrolled since
        the start was no such name: that they are gone now is said, and concerns nobody else.
        """
        enrolled = {name for name, _ in self.speakers} | {each.speaker for each in self.refusals}
        gone = self._ever_enrolled - enrolled
        self._ever_enrolled |= enrolled
        people = self._kit.settings.people
        for who in gone & people.named.keys():
            log.warning("rule_names_nobody", setting=people.named[who], speaker=who)
        try:
            check_enrolled(people, self._ever_enrolled)
        except ConfigError as error:
            self.fault = str(error)
            self.judge = replace(self._kit.make_judge(()), policy=self._policy)
            log.error("rule_names_nobody", error=str(error), hint=error.hint)  # noqa: TRY400

    def _lose(self, fault: str) -> bool:
        """Recognises nobody any more; returns whether that is news."""
        self._generation = None  # what stands in the way (the key, say) may go without a trace
        is_news = fault != self.fault
        if is_news:
            log.error("voiceprints_unreadable", error=fault)
        self.judge = replace(self._kit.make_judge(()), policy=self._policy)
        self.speakers, self.refusals, self.fault = (), (), fault
        self._qualities, self._marks = {}, LoadedMarks({}, {})
        return is_news
