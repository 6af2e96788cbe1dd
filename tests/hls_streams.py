"""Recordings in segments, made by ffmpeg, of film whose every frame carries its number."""

import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType

from imageio_ffmpeg import get_ffmpeg_exe

RATE = Fraction(30)
FRAMES = 300
SIZE = (160, 90)
X264 = {"preset": "veryfast", "g": "25", "bf": "3", "sc_threshold": "0"}
FIRST_SEGMENT_S = 1.3
VIDEO_CHANNEL = 0x100
"""Where FFmpeg's muxer of transport streams puts the video."""


def numbered_footage() -> ModuleType:
    """What draws the numbers and reads them, which lives with the tests of the cutter."""
    name = "numbered_footage"
    if name not in sys.modules:
        place = Path(__file__).parent / "integration" / "cutting" / "conftest.py"
        spec = importlib.util.spec_from_file_location(name, place)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def film(
    path: Path, *, options: dict[str, str] | None = None, rate: Fraction = RATE, sound: bool = True
) -> Path:
    """300 frames; keyframes every 25 frames if not told otherwise."""
    footage = numbered_footage()
    kind = footage.Kind(frames=FRAMES, size=SIZE, rate=rate, options=options or X264, audio=sound)
    footage.make(kind, path)
    return path


@dataclass(frozen=True)
class Stream:
    """A folder with segments and the lines of `index.m3u8`."""

    folder: Path
    lines: tuple[str, ...]

    @property
    def segments(self) -> list[str]:
        """Names, in order."""
        return [line for line in self.lines if line and not line.startswith("#")]

    @property
    def lengths(self) -> list[Fraction]:
        return [Fraction(line[8:].rstrip(",")) for line in self.lines if line.startswith("#EXTINF:")]

    @property
    def playlist(self) -> bytes:
        return "\n".join(self.lines).encode()

    def starts(self) -> list[Fraction]:
        """When each segment begins, in seconds."""
        return [sum(self.lengths[:place], Fraction(0)) for place in range(len(self.lengths))]


def segmented(source: Path, folder: Path, *options: str) -> Stream:
    """`source` in segments that begin at its keyframes, of uneven lengths."""
    folder.mkdir()
    command = [get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(source), "-c", "copy", "-f", "hls"]
    hls = ["-hls_time", str(FIRST_SEGMENT_S), "-hls_playlist_type", "vod", *options, "index.m3u8"]
    subprocess.run([*command, *hls], check=True, timeout=60, cwd=folder)
    return Stream(folder, tuple((folder / "index.m3u8").read_text().splitlines()))


def spliced(*parts: tuple[Stream, range]) -> str:
    """A playlist of segments of several streams, which lie beside it, with a discontinuity between them."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:3"]
    for number, (stream, places) in enumerate(parts):
        lines += ["#EXT-X-DISCONTINUITY"] if number else []
        for line in stream.lines:
            if match := re.fullmatch(r'#EXT-X-MAP:URI="(.*)"', line):
                lines.append(f'#EXT-X-MAP:URI="{stream.folder.name}/{match[1]}"')
        for place in places:
            lines += [
                f"#EXTINF:{float(stream.lengths[place]):.6f},",
                f"{stream.folder.name}/{stream.segments[place]}",
            ]
    return "\n".join([*lines, "#EXT-X-ENDLIST"])


def remuxed_one_by_one(stream: Stream, folder: Path) -> Stream:
    """Each segment in a muxer of its own: the same clock, but counters that begin anew."""
    folder.mkdir()
    for name in stream.segments:
        command = [get_ffmpeg_exe(), "-v", "error", "-nostdin", "-copyts", "-i", str(stream.folder / name)]
        subprocess.run([*command, "-c", "copy", str(folder / name)], check=True, timeout=60)
    return Stream(folder, stream.lines)


def without_channel(segment: bytes, channel: int) -> bytes:
    """A transport stream from which the packets of one channel are taken out."""
    packets = [segment[start : start + 188] for start in range(0, len(segment), 188)]
    return b"".join(packet for packet in packets if (packet[1] & 0x1F) << 8 | packet[2] != channel)
