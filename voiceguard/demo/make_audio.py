"""Makes the demo's recordings and ``scene.json``: ``make demo-audio``, or this module with ``-m``.

Comes in: the script below. Goes out: one small Ogg Opus file per sentence, 16 kHz mono, into this
directory (or the one named on the command line). Needs flite (``make services``), and nothing else
of voiceguard. Run it only to change what the demo says: the files are committed and shipped.

Only flite's four voices are used. Their licence lets their output be shipped freely, whereas
espeak-ng is GPL-3.0 and copies its recorded consonants into what it speaks.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 16_000
LEVEL_DBFS = -26.0
"""RMS of every sentence: a person at arm's length from a laptop's microphone."""

# slt enrolls because the encoder tells her well from the others: LLR 8.9 to 9.8 for herself, at
# most -4.4 for them, where 3.0 is asked for (ecapa-c256).
SCENE: dict[str, Any] = {
    "format": 1,
    "enrolled": {
        "speaker": "robin",
        "display_name": "Robin",
        "voice": "slt",
        "takes": [
            "My name is Robin, and this house should know me by my voice alone.",
            "The boy was there when the sun rose, and a rod is used to catch pink salmon.",
            "Please close the garden gate before the dog chases the yellow bicycle again.",
            "Nine boxes of fresh oranges were shipped over the river on Thursday night.",
        ],
    },
    "scene": [
        {"kind": "silence", "duration_s": 1.5},
        {
            "kind": "speech",
            "voice": "slt",
            "text": "Good morning. Please turn on the lights in the kitchen.",
        },
        {"kind": "silence", "duration_s": 1.3},
        {
            "kind": "speech",
            "voice": "awb",
            "text": "Unlock the front door, I have left my keys inside the car.",
        },
        {"kind": "silence", "duration_s": 1.3},
        {
            "kind": "speech",
            "voice": "rms",
            "text": "And now the weather. It will rain in the north until the evening.",
        },
        {"kind": "silence", "duration_s": 1.3},
        {"kind": "noise", "text": "(a fan runs)", "duration_s": 4.0, "level_dbfs": -42.0},
        {"kind": "silence", "duration_s": 1.0},
        {
            "kind": "speech",
            "voice": "slt",
            "text": "Set the heating to twenty degrees, and remind me at seven.",
        },
        {"kind": "silence", "duration_s": 1.3},
        {"kind": "speech", "voice": "slt", "text": "Yes."},
        {"kind": "silence", "text": "(silence)", "duration_s": 2.2},
        {
            "kind": "speech",
            "voice": "kal16",
            "text": "Open the garage, please. It is me, Robin. Don't you know my voice?",
        },
        {"kind": "silence", "duration_s": 1.3},
        {
            "kind": "speech",
            "voice": "slt",
            "text": "Thank you. I am going to bed now, so turn everything off.",
        },
        {"kind": "silence", "duration_s": 1.3},
    ],
}


def synthesise(voice: str, text: str) -> NDArray[np.float32]:
    """Speaks a sentence with flite.

    Returns:
        ``(num_samples,)`` float32 at RATE_HZ, its edges trimmed, its RMS at LEVEL_DBFS.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(  # noqa: S603 - fixed program, our own texts
            [_flite(), "-voice", voice, "-t", text, "-o", str(path)], check=True
        )
        with wave.open(str(path)) as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE_HZ, 1, 2):
                sys.exit(f"flite's voice {voice} is not 16 kHz mono 16 bit: {file.getparams()}")
            pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    samples = pcm.astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1] + 1]
    gain = 10 ** (LEVEL_DBFS / 20) / float(np.sqrt(np.mean(samples**2)))
    return np.asarray(samples * gain, dtype=np.float32)


def write_opus(path: Path, samples: NDArray[np.float32]) -> None:
    """Writes Ogg Opus, 24 kbit/s: small, and no worse for an encoder than a cheap microphone.

    Args:
        path: Of the file.
        samples: ``(num_samples,)`` float32 at ``RATE_HZ``; beyond full scale it is clipped.
    """
    with av.open(str(path), "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=RATE_HZ)
        stream.layout = "mono"
        stream.bit_rate = 24_000
        pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main(folder: Path) -> None:
    """Writes every recording and the scene's manifest into ``folder``."""
    for stale in folder.glob("*.opus"):
        stale.unlink()
    enrolled = SCENE["enrolled"]
    takes = []
    for number, text in enumerate(enrolled["takes"], start=1):
        name = f"enroll-{number}-{enrolled['voice']}.opus"
        write_opus(folder / name, synthesise(enrolled["voice"], text))
        takes.append({"file": name, "text": text})
    scene: list[dict[str, Any]] = []
    for item in SCENE["scene"]:
        if item["kind"] == "speech":
            number = 1 + sum(other["kind"] == "speech" for other in scene)
            name = f"scene-{number}-{item['voice']}.opus"
            write_opus(folder / name, synthesise(item["voice"], item["text"]))
            scene.append({**item, "file": name})
        else:
            scene.append(item)
    manifest = {**SCENE, "enrolled": {**enrolled, "takes": takes}, "scene": scene}
    (folder / "scene.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.glob("*.opus"))
    print(f"{len(list(folder.glob('*.opus')))} recordings, {size / 1000:.0f} kB")  # noqa: T201


def _flite() -> str:
    path = shutil.which("flite")
    if path is None:
        sys.exit("flite is not installed: run `make services` as root")
    return path


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "audio")
