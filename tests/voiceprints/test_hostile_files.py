"""Whatever a file of the state directory holds, it is believed or refused by name.

The short form of the campaign's: the same files for ever.
"""

from __future__ import annotations

from tests.campaign.state_files import mutate


def test_mutated_files_are_believed_or_refused_by_name() -> None:
    figures = mutate(60.0, 11, most=300)
    assert figures["files"] == 300
    assert figures["settings_believed"]
    assert figures["history_believed"]
