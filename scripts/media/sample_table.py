"""What the samples are: one row a file."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal

RECIPE = 1
"""Raise it when a row shall make other pictures or sounds: files of an older recipe are then made again."""

FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)


@dataclass(frozen=True)
class Sample:
    """One source video."""

    number: int
    """Its number in the stamp of each frame."""
    name: str
    """Also its `video_id` and its pattern."""
    container: Literal["mp4", "mkv", "webm"]
    width: int
    height: int
    fps: Fraction
    seconds: int
    """It has the first whole number of frames that is no shorter."""
    gop: int
    """Frames from one keyframe to the next."""
    b_frames: int = 0
    open_gop: bool = False
    sound: Literal["aac", "libopus"] | None = None
    """A nagging beep, which must never be heard in a mix."""

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.{self.container}"

    @property
    def codec(self) -> str:
        """The video encoder: VP9 in WebM, else H.264."""
        return "libvpx-vp9" if self.container == "webm" else "libx264"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def frames(self) -> int:
        """Frames of the whole file."""
        return ceil(self.seconds * self.fps)

    @property
    def recipe(self) -> str:
        """What the file was made from; written into it, so that a change here makes it anew."""
        return f"recipe {RECIPE}: {self}"


@dataclass(frozen=True)
class SongSample:
    """The song: 48 kHz stereo AAC, with a bell and a kick at the start of each line."""

    name: str
    file: str
    lines: int
    line_ms: int

    @property
    def duration_ms(self) -> int:
        """The span of its lines, and but for a few ms its own."""
        return self.lines * self.line_ms

    @property
    def recipe(self) -> str:
        """What the file was made from."""
        return f"recipe {RECIPE}: {self}"


SAMPLES = (
    Sample(1, "neon-grid", "mp4", 1920, 1080, FILM, 60, gop=250, b_frames=3),
    Sample(2, "ocean-waves", "mp4", 1280, 720, Fraction(30), 66, gop=30, sound="aac"),
    Sample(
        3, "candy-stripes", "mkv", 854, 480, Fraction(60), 62, gop=120, b_frames=2, open_gop=True, sound="aac"
    ),
    Sample(4, "forest-diamonds", "webm", 640, 360, Fraction(50), 64, gop=100, sound="libopus"),
    Sample(5, "aurora-curtain", "mp4", 720, 1280, NTSC, 60, gop=60, b_frames=1),
    Sample(6, "old-film", "mkv", 640, 480, Fraction(25), 75, gop=25, b_frames=2),
)

SONG = SongSample("song", "song.m4a", lines=60, line_ms=3000)
