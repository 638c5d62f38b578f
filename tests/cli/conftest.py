"""For tests that call a command in this process."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def logs_go_back() -> Iterator[None]:
    """Commands point the log at a standard error that is captured here, and closed afterwards."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if type(each) is not logging.StreamHandler]
