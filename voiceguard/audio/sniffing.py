"""Whether bytes on standard input are a container or raw samples; pure.

In: the first bytes. Out: what kind of file begins like that.
"""

from __future__ import annotations

NEEDED_BYTES = 12
"""From which all but MPEG audio can be told."""
NEEDED_MPEG_BYTES = 4096
"""Two frames: their headers are so short that raw samples may look like one."""

_MAGIC = (
    (0, b"RIFF", "WAV"),
    (0, b"RIFX", "WAV"),
    (0, b"RF64", "WAV"),
    (0, b"BW64", "WAV"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
    (0, b"OggS", "Ogg"),
    (0, b"fLaC", "FLAC"),
    (0, b"FORM", "AIFF"),
    (0, b".snd", "AU"),
    (0, b"caff", "CAF"),
    (0, b"ID3", "MP3"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska"),
    (4, b"ftyp", "MP4"),
    (0, b"#!AMR", "AMR"),
    (0, b"\x30\x26\xb2\x75", "WMA"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"TTA1", "TTA"),
    (0, b"Creative Voi", "VOC"),
    (0, b"NIST_1A", "NIST SPHERE"),
)
_BITRATES_KBPS = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG 1
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2
    0: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2.5
}
_MPEG_RATES_HZ = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}


def kind_of(start: bytes) -> str | None:
    """What container or stream of frames it is; None: raw samples, or nothing known."""
    for offset, magic, kind in _MAGIC:
        if start[offset : offset + len(magic)] == magic:
            return kind
    for length, kind in ((_mp3_frame_bytes, "MP3"), (_adts_frame_bytes, "AAC")):
        first = length(start)
        if first and length(start[first:]):
            return kind
    return None


def may_be_mpeg(start: bytes) -> bool:
    """Whether more bytes are needed to be sure."""
    return len(start) >= 2 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0


def _mp3_frame_bytes(header: bytes) -> int:
    """Length of the frame of MPEG audio layer III that begins here; 0: none does."""
    if len(header) < 4 or not may_be_mpeg(header):
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer != 1 or bitrate in {0, 15} or rate == 3:
        return 0
    factor = 144 if version == 3 else 72
    bits = _BITRATES_KBPS[version][bitrate] * 1000
    return factor * bits // _MPEG_RATES_HZ[version][rate] + (header[2] >> 1 & 1)


def _adts_frame_bytes(header: bytes) -> int:
    """Length of the ADTS frame (AAC) that begins here; 0: none does."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    if header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length >= 7 else 0
