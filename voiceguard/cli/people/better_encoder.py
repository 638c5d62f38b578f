"""One line, before anybody reads sentences for the default encoder: there is a better one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.cli.output import stderr
from voiceguard.encoder.foreign.catalogue import find_known
from voiceguard.encoder.installed import installed_file
from voiceguard.encoder.library import DEFAULT_MODEL
from voiceguard.service.kit import installed_in

if TYPE_CHECKING:
    from voiceguard.service.kit import Kit

BEST = "campplus"
"""Of those that a command fetches and voiceguard carries a calibration for."""


def offer_better_encoder(kit: Kit) -> None:
    """Says so where the shipped encoder is in use and the better one is not here.

    Whoever changes the encoder later has to enroll again.
    """
    known = find_known(BEST)
    if known is None or kit.encoder.info.name != DEFAULT_MODEL:
        return
    if installed_file(known.name, installed_in(kit.settings)) is None:
        stderr.print(
            "fewer errors for more CPU, before you enroll: "
            f"`voiceguard models pull {BEST} && voiceguard models use {BEST}`",
            style="dim",
            markup=False,
            soft_wrap=True,  # to be copied in one piece
        )
