"""The shipped encoder still gives the embedding that its card holds, and that is checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.pinned.product import copy_of_state, plain, said, voiceguard

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_encoder_is_intact(tmp_path: Path) -> None:
    card = said("models", "info", "default", state=tmp_path)
    assert (card["weights_are_intact"], card["faults"]) == (True, [])
    assert len(card["golden"]) == card["embedding_dim"]
    verified = said("models", "verify", card["name"], state=tmp_path)
    assert verified["is_intact"] is True
    assert verified["deviation"] < 1e-3


def test_an_encoder_that_computes_something_else_is_found(tmp_path: Path) -> None:
    """One entry of the stored embedding altered: as if by another front end or processor."""
    state = copy_of_state(tmp_path)
    assert said("models", "verify", "small", state=state)["is_intact"] is True
    card = next((state / "models" / "small").glob("*.json"))
    altered = json.loads(card.read_text(encoding="utf-8"))
    altered["golden"][0] += 0.01
    card.write_text(json.dumps(altered), encoding="utf-8")
    done = voiceguard("models", "verify", "small", state=state)
    assert done.returncode == 1, done.stderr
    assert "golden embedding is off by" in plain(done.stdout + done.stderr)
