"""The demo's recordings by who speaks; synthetic voices, shipped with the package."""

from __future__ import annotations

import json
from pathlib import Path

import voiceguard

FOLDER = Path(voiceguard.__file__).parent / "demo" / "audio"

_SCENE = json.loads((FOLDER / "scene.json").read_text(encoding="utf-8"))
_VOICE = _SCENE["enrolled"]["voice"]
_SPEECH = [item for item in _SCENE["scene"] if item["kind"] == "speech"]

TAKES = [FOLDER / take["file"] for take in _SCENE["enrolled"]["takes"]]
"""Sentences of the voice that the demo enrolls, to enroll with."""

SPOKEN = sorted(
    (FOLDER / item["file"] for item in _SPEECH if item["voice"] == _VOICE),
    key=lambda file: -file.stat().st_size,
)
"""Other sentences of the same voice, longest first."""

STRANGERS = sorted(
    (FOLDER / item["file"] for item in _SPEECH if item["voice"] != _VOICE),
    key=lambda file: -file.stat().st_size,
)
"""Sentences of other voices, longest first."""
