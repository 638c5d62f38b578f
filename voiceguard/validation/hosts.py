"""What can be the host of an address that somebody has written. Pure."""

from __future__ import annotations

import re

_HOST = re.compile(r"[\w.-]{1,253}|[0-9a-fA-F:.]{2,45}(%[\w.-]{1,32})?")


def is_host(text: str) -> bool:
    """Whether it is a name that can be looked up, or an IP address, perhaps with its zone.

    "a..b" is none: whoever looks it up gets no answer but a UnicodeError.
    """
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    return _HOST.fullmatch(text) is not None
