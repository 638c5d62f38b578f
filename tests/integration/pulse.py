"""A private PulseAudio whose only microphone is what a test plays into it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.services import require_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

SINK = "vgmic"


class PulseServer:
    """A PulseAudio of the test's own: a null sink whose monitor is the default microphone.

    PortAudio reaches it as the ALSA device ``pulse`` in any process started with ``env``
    (PortAudio reads the environment once, so capture in a subprocess). Usable as a context
    manager; skips, or fails under VOICEGUARD_REQUIRE_SERVICES=1, without pulseaudio.

    Args:
        rate_hz: The sink's rate; a capture at the same rate and one channel is bit-exact.
        channels: The sink's channels.
        sample_format: The sink's format in PulseAudio's words.
    """

    def __init__(
        self, *, rate_hz: int = 16_000, channels: int = 1, sample_format: str = "s16le"
    ) -> None:
        self._pulseaudio = require_program("pulseaudio")
        self._paplay = require_program("paplay")
        self._pactl = require_program("pactl")
        self._sink = (
            f"module-null-sink sink_name={SINK} rate={rate_hz} channels={channels} "
            f"format={sample_format} norewinds=1"  # rewinds would tear the monitor's stream
        )
        self.home = Path(tempfile.mkdtemp(prefix="vg-pulse-"))
        for name in ("pulse", "state"):
            (self.home / name).mkdir(mode=0o700)
        self._socket = self.home / "native"
        self._server: subprocess.Popen[bytes] | None = None
        self.env = os.environ | {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
            "PULSE_RUNTIME_PATH": str(self.home / "pulse"),
            "PULSE_STATE_PATH": str(self.home / "state"),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_SOURCE": f"{SINK}.monitor",
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self, *, timeout_s: float = 10.0) -> None:
        """Starts the server and waits until it has its sink."""
        self._socket.unlink(missing_ok=True)
        self._server = subprocess.Popen(
            [
                self._pulseaudio,
                *("-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"),
                f"--log-target=file:{self.home / 'pulseaudio.log'}",
                *("-L", f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"),
                *("-L", self._sink),
            ],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if self._socket.exists() and SINK in self._control("list", "short", "sinks"):
                return
            time.sleep(0.02)
        log = (self.home / "pulseaudio.log").read_text(errors="replace")
        message = f"pulseaudio did not start within {timeout_s} s:\n{log}"
        raise RuntimeError(message)

    def kill(self) -> None:
        """Ends the server without a goodbye, as a crash would."""
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait()
            self._server = None

    def restart(self) -> None:
        """Kills the server if it lives, and starts it again at the same address."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stops the server's process: it answers nobody, yet its socket stays open."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server go on."""
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    def suspend(self, *, suspended: bool) -> None:
        """Stops or resumes the microphone itself: open, and delivering nothing."""
        self._control("suspend-source", f"{SINK}.monitor", "1" if suspended else "0")
        self._control("suspend-sink", SINK, "1" if suspended else "0")

    def play(self, wav: Path) -> None:
        """Plays a sound file into the microphone; returns when it has been played."""
        subprocess.run([*self._play_command(wav)], env=self.env, check=True, timeout=120)

    def start_playing(self, wav: Path) -> subprocess.Popen[bytes]:
        """Plays a sound file in the background; the caller waits for it or ends it."""
        return subprocess.Popen(self._play_command(wav), env=self.env)

    @contextmanager
    def playing_raw(self, raw: Path, channels: int) -> Iterator[None]:
        """Plays 16-bit samples at 16 kHz meanwhile, each channel into the sink's own."""
        listed = self._control("list", "sinks").splitlines()
        places = next(line.split(": ")[1] for line in listed if "Channel Map" in line)
        command = [self._paplay, "--raw", f"--device={SINK}", "--rate=16000", "--format=s16le"]
        playing = subprocess.Popen(
            [*command, f"--channels={channels}", f"--channel-map={places}", str(raw)], env=self.env
        )
        try:
            yield
        finally:
            playing.kill()
            playing.wait()

    def mute(self, *, muted: bool) -> None:
        """Mutes the microphone as a person does in the desktop's settings."""
        self._control("set-source-mute", f"{SINK}.monitor", "1" if muted else "0")

    def _play_command(self, wav: Path) -> list[str]:
        return [self._paplay, f"--device={SINK}", str(wav)]

    def _control(self, *arguments: str) -> str:
        finished = subprocess.run(
            [self._pactl, *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return finished.stdout
