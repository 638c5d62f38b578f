"""The campaign's mutated events, some hundreds of them; `make campaign` does it for minutes."""

from __future__ import annotations

import random

from tests.campaign.wyoming import fuzz


async def test_no_mutated_event_ends_more_than_its_connection() -> None:
    figures = await fuzz(60.0, random.Random(7), most=1200)
    assert figures["num_crashes"] == 0
    assert int(figures["num_events"]) >= 1200
    assert int(figures["num_refused"]) > 5
