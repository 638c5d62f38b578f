"""What each runtime takes for 3 s of one encoder, and how far its embeddings are from the card's.

::

    OMP_NUM_THREADS=1 python -m tests.benchmarks.runtimes [NAME or PATH of an encoder]

Each row is one runtime on one core, features included: the processor's time of one recording, and
of one window of a stream that moves on by half a second. All take turns, so that a busy machine
slows all of them; the fastest tenth counts.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.encoder import golden
from voiceguard.encoder.library import find_model
from voiceguard.encoder.loading import load_file
from voiceguard.encoder.running.graph_encoder import GraphEncoder, read_graph
from voiceguard.encoder.running.openvino_session import OpenvinoSession
from voiceguard.encoder.runtimes import PACKAGES, is_installed
from voiceguard.types import SAMPLE_RATE_HZ, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from voiceguard.protocols import Encoder

SECONDS = 3.0
HOP_S = 0.5
NUM_TURNS = 100


def main(model: str = "default") -> None:
    """Prints the table."""
    path = find_model(model)
    encoders = dict(_encoders(path))
    samples = golden.signal(SECONDS)
    calls: dict[str, list[Callable[[], object]]] = {
        name: [lambda e=encoder: e.embed(samples), _moving_on(encoder)]  # type: ignore[misc]
        for name, encoder in encoders.items()
    }
    times: dict[str, list[list[float]]] = {name: [[], []] for name in calls}
    for _ in range(NUM_TURNS):
        for name, both in calls.items():
            for measured, call in zip(times[name], both, strict=True):
                began = time.thread_time()
                call()
                measured.append(1e3 * (time.thread_time() - began))
    reference = next(iter(encoders.values())).embed(samples)
    print(f"{path.stem}, {SECONDS:g} s: ms of one core")
    print(f"{'runtime':16} recording  window  from the first, of its largest entry")
    for name, both_times in times.items():
        recording, window = (np.percentile(each, 10) for each in both_times)
        off = np.abs(encoders[name].embed(samples) - reference).max() / np.abs(reference).max()
        print(f"{name:16} {recording:9.1f} {window:7.1f}  {off:.1e}")


def _encoders(path: Path) -> Iterator[tuple[str, Encoder]]:
    for runtime in sorted(PACKAGES, key=lambda each: each != "torch"):
        if is_installed(runtime):
            yield runtime, load_file(path, device="cpu", runtime=runtime)
    if is_installed("openvino"):
        card, front_end, graph = read_graph(path)
        half = OpenvinoSession(graph, "it", device="cpu", num_threads=1, precision="bf16")
        yield "openvino, bf16", GraphEncoder(card, front_end, half, "openvino")


def _moving_on(encoder: Encoder) -> Callable[[], object]:
    """Embeds the next window of an endless stream."""
    stream, first = encoder.open_stream(), 0
    samples = golden.signal(SECONDS)

    def embed() -> object:
        nonlocal first
        first += int(HOP_S * SAMPLE_RATE_HZ)
        window = Window(
            segment=0,
            first_sample=first,
            samples=samples,
            net_speech_s=SECONDS,
            segment_speech_s=SECONDS,
            snr_db=30.0,
        )
        return stream.embed(window)

    return embed


if __name__ == "__main__":
    main(*sys.argv[1:])
