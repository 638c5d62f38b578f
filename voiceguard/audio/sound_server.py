"""What stands behind a sound server's default source, and its channels unmixed.

ALSA's way to the server ("pulse") asks for so many channels with positions of its own, and the
server mixes its source's into those: a number would pick a mixture. So that source is recorded with
its own channels at their own places, by libpulse, and the server says whether it is muted.

libpulse waits for a server that hangs, so it is used in a process of its own, which can be ended:
this file run as a script, which is why it imports nothing else of voiceguard.

In: blocking calls on the I/O executor. Out: ``ServerSource``; blocks on a thread of the stream's.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_S = 2.0
_RECORD, _FLOAT32LE = 2, 5
_READY, _FAILED = 4, 5
_ANY = 0xFFFF_FFFF
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSource:
    """The source that a client gets which names none."""

    name: str
    positions: tuple[int, ...]
    """Of its channels, as libpulse numbers them."""
    is_muted: bool

    @property
    def num_channels(self) -> int:
        return len(self.positions)


def describe_source() -> ServerSource | None:
    """Asks the server; None where there is none, it doesn't answer, or libpulse is not there."""
    try:
        finished = subprocess.run(  # noqa: S603 - our own interpreter, this file
            [sys.executable, "-I", __file__, "describe"],
            capture_output=True,
            timeout=ANSWER_S,
            check=True,
        )
        name, positions, is_muted = json.loads(finished.stdout)
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):  # null: no such source
        return None
    return ServerSource(name=name, positions=tuple(positions), is_muted=is_muted)


class UnmixedStream:
    """As PortAudio's input stream: started, aborted and closed; calls back on its own thread.

    Args:
        source: To record.
        rate_hz: The server converts.
        block_samples: Of each block.
        callback: Gets ``(num_samples, channels)`` float32, their number, None, None.
        finished_callback: Called when nothing more will come.
    """

    def __init__(
        self,
        source: ServerSource,
        rate_hz: int,
        block_samples: int,
        callback: Callable[[Any, int, object, Any], None],
        finished_callback: Callable[[], None],
    ) -> None:
        self._source = source
        self._order = json.dumps([source.name, source.positions, rate_hz, block_samples])
        self._block_bytes = block_samples * source.num_channels * _FLOAT_BYTES
        self._callback = callback
        self._finished_callback = finished_callback
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._read, name="sound-server", daemon=True)

    def start(self) -> None:
        """Begins to record.

        Raises:
            OSError: No process can be started.
        """
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, this file
            [sys.executable, "-I", __file__, "record", self._order],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._thread.start()

    def abort(self) -> None:
        """Ends the recording, whatever the server does."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Frees the process, after ``abort``."""
        if self._process is not None:
            self._process.wait()
            self._thread.join()
            assert self._process.stdout is not None
            self._process.stdout.close()

    def _read(self) -> None:
        import numpy as np  # noqa: PLC0415 - the script has no use for it

        assert self._process is not None
        assert self._process.stdout is not None
        while len(block := self._process.stdout.read(self._block_bytes)) == self._block_bytes:
            samples = np.frombuffer(block, dtype="<f4").reshape(-1, self._source.num_channels)
            self._callback(samples, len(samples), None, None)
        self._finished_callback()


# --- the script -----------------------------------------------------------------------------


class _SampleSpec(ctypes.Structure):
    _fields_ = (
        ("format", ctypes.c_int),
        ("rate", ctypes.c_uint32),
        ("channels", ctypes.c_uint8),
    )


class _ChannelMap(ctypes.Structure):
    _fields_ = (("channels", ctypes.c_uint8), ("map", ctypes.c_int * 32))


class _ServerInfo(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("user", "host", "version", "server")),
        ("sample_spec", _SampleSpec),
        ("default_sink", ctypes.c_char_p),
        ("default_source", ctypes.c_char_p),
    )


class _SourceInfo(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("index", ctypes.c_uint32),
        ("description", ctypes.c_char_p),
        ("sample_spec", _SampleSpec),
        ("channel_map", _ChannelMap),
        ("owner_module", ctypes.c_uint32),
        ("volume_channels", ctypes.c_uint8),
        ("volume", ctypes.c_uint32 * 32),
        ("mute", ctypes.c_int),
    )


class _Attributes(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize")
    )


_SERVER_CALLBACK = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.POINTER(_ServerInfo), ctypes.c_void_p
)
_SOURCE_CALLBACK = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.POINTER(_SourceInfo), ctypes.c_int, ctypes.c_void_p
)


class _Client:
    """A connection to the server that the environment or its configuration names."""

    def __init__(self) -> None:
        self._pulse = ctypes.CDLL("libpulse.so.0")
        for name in ("pa_mainloop_new", "pa_mainloop_get_api", "pa_context_new"):
            getattr(self._pulse, name).restype = ctypes.c_void_p
        self._mainloop = ctypes.c_void_p(self._pulse.pa_mainloop_new())
        api = ctypes.c_void_p(self._pulse.pa_mainloop_get_api(self._mainloop))
        self._context = ctypes.c_void_p(self._pulse.pa_context_new(api, b"voiceguard"))
        self._pulse.pa_context_connect(self._context, None, 1, None)  # 1: starts no server
        self._wait(lambda: self._state == _READY)

    @property
    def _state(self) -> int:
        return int(self._pulse.pa_context_get_state(self._context))

    def _wait(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            if (
                self._state >= _FAILED
                or self._pulse.pa_mainloop_iterate(self._mainloop, 1, None) < 0
            ):
                sys.exit("the sound server is not there")

    def default_source(self) -> bytes:
        names: list[bytes] = []

        def note(_context: int, info: Any, _data: int) -> None:  # noqa: ANN401
            names.append((info.contents.default_source if info else None) or b"")

        kept = _SERVER_CALLBACK(note)
        self._pulse.pa_context_get_server_info(self._context, kept, None)
        self._wait(lambda: bool(names))
        return names[0]

    def source(self, name: bytes) -> tuple[str, list[int], bool] | None:
        found: list[tuple[str, list[int], bool] | None] = []

        def note(_context: int, info: Any, end: int, _data: int) -> None:  # noqa: ANN401
            if end or not info:
                found.append(None)
                return
            source = info.contents
            places = list(source.channel_map.map[: source.channel_map.channels])
            found.append((source.name.decode(errors="replace"), places, bool(source.mute)))

        kept = _SOURCE_CALLBACK(note)
        self._pulse.pa_context_get_source_info_by_name(self._context, name, kept, None)
        self._wait(lambda: bool(found))
        return found[0]


def _describe() -> tuple[str, list[int], bool] | None:
    client = _Client()
    return client.source(os.environb.get(b"PULSE_SOURCE") or client.default_source())


def _record(name: str, positions: list[int], rate_hz: int, block_samples: int) -> None:
    pulse = ctypes.CDLL("libpulse-simple.so.0")
    pulse.pa_simple_new.restype = ctypes.c_void_p
    num_channels = len(positions)
    num_bytes = block_samples * num_channels * _FLOAT_BYTES
    spec = _SampleSpec(_FLOAT32LE, rate_hz, num_channels)
    places = _ChannelMap(num_channels, (ctypes.c_int * 32)(*positions))
    attributes = _Attributes(_ANY, _ANY, _ANY, _ANY, num_bytes)
    stream = ctypes.c_void_p(
        pulse.pa_simple_new(
            *(None, b"voiceguard", _RECORD, name.encode(), b"listening"),
            *(ctypes.byref(spec), ctypes.byref(places), ctypes.byref(attributes), None),
        )
    )
    block = ctypes.create_string_buffer(num_bytes)
    with os.fdopen(1, "wb", buffering=0) as output:
        while stream and pulse.pa_simple_read(stream, block, ctypes.c_size_t(num_bytes), None) >= 0:
            output.write(block.raw)


def _main() -> None:
    if sys.argv[1] == "record":
        _record(*json.loads(sys.argv[2]))
    else:
        sys.stdout.write(json.dumps(_describe()))


if __name__ == "__main__":
    _main()
