"""What every module of the campaign offers, so that one command runs them all.

::

    CAMPAIGNS: Final[Mapping[str, Campaign]] = {"store: kill -9": kill_while_storing, ...}

A campaign is called with seconds that it may take and a seed, and returns its figures, by name and
in the order of the table. Every draw comes from the seed, so that a finding can be had again. It
stops soon after its time is over (one round may be finished, none begun), cleans up what it
started, and runs in a process of its own or beside others of its kind.

What must hold is raised as ``ViolationError`` at once, with what is needed to have it again; a
figure that is merely measured (a delay, a rate) goes into the result. Other exceptions are faults
of the campaign and end it likewise; the next campaign is run all the same.

``make campaign`` (``python -m tests.campaign``) looks into every module of this package and of the
packages in it that has ``CAMPAIGNS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

Figure: TypeAlias = int | float | str
"""One cell of the table; units are in the name: ``p99_s``, ``num_kills``."""

Campaign: TypeAlias = Callable[[float, int], Mapping[str, Figure]]
"""``campaign(seconds, seed)``."""


class ViolationError(AssertionError):
    """Something that must hold did not; the message names the seed, the round and the input."""
