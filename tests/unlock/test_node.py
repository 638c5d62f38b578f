"""The page's lock for Node takes exactly what the vectors say."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.docs.generated import DOCS
from tests.docs.texts import blocks
from tests.unlock.vectors import FILE

if TYPE_CHECKING:
    from pathlib import Path

_HARNESS = """
const vectors = JSON.parse(require("node:fs").readFileSync(process.argv[2]));
for (const each of vectors.cases) {
  const lock = new Lock(vectors.public_key, vectors.action, vectors.last_sequence);
  lock.begin();
  lock.nonce = vectors.nonce;
  lock.passedMs = () => each.passed_ms;
  const message = Buffer.from(each.message, "hex");
  console.log(JSON.stringify([lock.opens(message), lock.opens(message)]));
}
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_lock_in_node_opens_what_the_vectors_say(tmp_path: Path) -> None:
    (program,) = blocks(DOCS / "unlock.md", "js")
    script = tmp_path / "lock.js"
    script.write_text(program + _HARNESS)
    done = subprocess.run(
        ["node", script, FILE], check=True, capture_output=True, text=True, timeout=60
    )
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert seen == [[case["opens"], False] for case in json.loads(FILE.read_text())["cases"]]
