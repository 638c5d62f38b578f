"""The order of files: the long ones first, so that no worker has one left at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

HERE = Path(__file__).parent
LONG = (
    "service/test_long_recordings.py",
    "pinned/test_figures.py",
    "integration/test_whole_daemon.py",
    "cli/test_decide.py",
    "integration/test_bad_input.py",
    "cli/measuring/test_evaluate.py",
    "integration/test_setup.py",
    "cli/measuring/test_train.py",
    "cli/people/test_transfer.py",
    "lab/training/test_run.py",
    "integration/test_broker_faults.py",
    "cli/measuring/test_bench.py",
    "integration/test_microphone.py",
    "cli/people/test_voiceprints.py",
    "integration/test_unlock.py",
    "pinned/test_state.py",
    "integration/test_server_channels.py",
    "cli/people/test_enroll.py",
    "cli/setting_up/test_setup.py",
    "wyoming/test_whole_turn.py",
    "integration/test_mosquitto.py",
    "cli/listening/test_words.py",
    "voiceprints/test_failing_disk.py",
    "cli/measuring/test_calibrate.py",
)
"""15 s and more each, the longest first."""


def pytest_configure(config: pytest.Config) -> None:
    """A worker takes files in this order, not by how many tests they have."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {HERE / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))
