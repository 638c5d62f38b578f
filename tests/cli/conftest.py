"""For tests that call a command in this process."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from voiceguard.logs import LogHandler

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def logs_go_back() -> Iterator[None]:
    """Commands point the log at a standard error that is captured here, and closed afterwards."""
    yield
    structlog.reset_defaults()
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, LogHandler):
            logging.getLogger().removeHandler(handler)
            handler.close()
