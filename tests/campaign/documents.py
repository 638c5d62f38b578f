"""Documents that somebody made hostile: JSON with impossible values, and bytes that were damaged.

Everything comes from the generator that is passed in.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from tests.campaign.audio_files import MUTATIONS

if TYPE_CHECKING:
    import numpy as np

_DEEP = "\x00deep\x00"
_HUGE = "\x00huge\x00"
_INFINITE = "\x00infinite\x00"
_RAW = {
    json.dumps(_DEEP): "[" * 5000 + "]" * 5000,
    json.dumps(_HUGE): "9" * 5000,
    json.dumps(_INFINITE): "1e400",
}
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 2**64, 10**19, 0.5, -0.0, 1e308),
    *("", "x", "\ud800", "\x00", "../../etc/passwd", "9999-12-31T23:59:59.999+00:00"),
    *("0001-01-01T00:00:00+14:00", "2026-11-05T17:20:01", "a" * 70_000, [], {}, [[]], [None]),
    *({"": None}, float("nan"), float("inf"), _DEEP, _HUGE, _INFINITE),
)
"""What a field may hold that was meant for something else."""


def hostile_json(document: Any, rng: np.random.Generator) -> bytes:  # noqa: ANN401 - any JSON
    """A document with one to three of its values replaced, removed, renamed or doubled."""
    root = [copy.deepcopy(document)]
    for _ in range(int(rng.integers(1, 4))):
        if not (places := list(_places(root))):
            break
        container, key = places[int(rng.integers(len(places)))]
        _change(container, key, rng)
    text = json.dumps(root[0] if root else None)
    for marked, raw in _RAW.items():
        text = text.replace(marked, raw)
    return text.encode("utf-8", "surrogatepass")


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes after one to three mutations."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        changed = MUTATIONS[int(rng.integers(len(MUTATIONS)))](changed, rng)
    return bytes(changed)


def _places(container: Any) -> Any:  # noqa: ANN401 - of any JSON
    keys = range(len(container)) if isinstance(container, list) else list(container)
    for key in keys:
        yield container, key
        if isinstance(container[key], list | dict):
            yield from _places(container[key])


def _change(container: Any, key: Any, rng: np.random.Generator) -> None:  # noqa: ANN401
    way = rng.random()
    if way < 0.6:
        container[key] = HOSTILE[int(rng.integers(len(HOSTILE)))]
    elif way < 0.75 and isinstance(container, dict):
        container[str(key) + "x"] = container.pop(key)
    elif way < 0.9:
        del container[key]
    elif isinstance(container, list):
        container.insert(key, copy.deepcopy(container[key]))
    else:
        container[key] = [container[key]]
