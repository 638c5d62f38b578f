"""The voiceprints in force: read from the store, kept up to date, turned into a Judge.

Event loop; files are read on the I/O executor. A store that cannot be read (a missing key, say)
leaves nobody to accept, and says why in ``fault``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from voiceguard.errors import VoiceguardError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from voiceguard.pipeline.judge import Judge
    from voiceguard.service.kit import Kit
    from voiceguard.voiceprints.store import Generation, Refusal, VoiceprintStore

log = structlog.get_logger(__name__)


class Roster:
    """Who is enrolled, as of the last look.

    Args:
        kit: Makes the judge, and names the encoder that voiceprints must be of.
        store: Where they are.
        executor: For reading files.
    """

    def __init__(self, kit: Kit, store: VoiceprintStore, executor: Executor) -> None:
        self.judge: Judge = kit.make_judge(())
        self.speakers: tuple[tuple[str, str], ...] = ()
        """Name and display name of each, in order."""
        self.refusals: tuple[Refusal, ...] = ()
        self.fault = ""
        """Why nobody can be recognised though somebody is enrolled; empty when all is well."""
        self._kit = kit
        self._store = store
        self._executor = executor
        self._generation: Generation | None = None

    async def refresh(self, *, force: bool = False) -> bool:
        """Looks at the store, and reads it where it has changed since the last look.

        Returns:
            Whether who is enrolled, or the fault, may have changed.
        """
        loop = asyncio.get_running_loop()
        try:
            generation = await loop.run_in_executor(self._executor, self._store.generation)
            if generation == self._generation and not force:
                return False
            await self._read()
            self._generation = generation
        except VoiceguardError as error:
            self._generation = None  # what stands in the way (the key, say) may go without a trace
            return self._lose(str(error))
        return True

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        encoder_id = self._kit.encoder.info.encoder_id
        loaded = await loop.run_in_executor(
            self._executor, lambda: self._store.load_all(encoder_id=encoder_id)
        )
        self.judge = self._kit.make_judge(loaded.voiceprints)
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

    def _lose(self, fault: str) -> bool:
        """Recognises nobody any more; returns whether that is news."""
        is_news = fault != self.fault
        if is_news:
            log.error("voiceprints_unreadable", error=fault)
        self.judge = self._kit.make_judge(())
        self.speakers, self.refusals, self.fault = (), (), fault
        return is_news
