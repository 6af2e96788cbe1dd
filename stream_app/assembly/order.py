"""What the process of a join is told, and what comes of it; all of it crosses a process border as JSON."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from topics.events import Sha256
from topics.ids import MixId
from topics.profile import RenderProfile
from topics.requests import Song

Sidecar = Literal["srt", "vtt"]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Message):
    """A run of frames of the video: a clip of the store, or black, which is made here."""

    kind: Literal["clip", "placeholder", "filler"]
    frames: Annotated[int, Field(ge=1)]
    path: Path | None = Field(None, description="the clip; none for a filler")
    sha256: Sha256 | None = Field(None, description="of the clip's file; none for a filler")

    @model_validator(mode="after")
    def _has_a_file_unless_black(self) -> "Part":
        missing = {self.path is None, self.sha256 is None}
        if missing != {self.kind == "filler"}:
            raise ValueError("a filler has no file, every other part has a path and its sha256")
        return self


class Lyric(_Message):
    """The text of one line and when it is sung, in ms of the picture's clock."""

    text: str
    start_ms: int
    end_ms: int


class SongOrder(_Message):
    """Have the sound of a mix ready before its clips are, where that takes long."""

    kind: Literal["song"] = "song"
    song: Song
    song_path: Path = Field(description="the song's file")
    frames: Annotated[int, Field(ge=1)] = Field(description="pictures to the last line's end")
    profile: RenderProfile
    songs_dir: Path = Field(description="where encoded songs are kept, such as artifacts/songs")


class AssembleOrder(_Message):
    """Everything that is needed to assemble one revision of a mix."""

    kind: Literal["assemble"] = "assemble"
    mix_id: MixId
    revision: Annotated[int, Field(ge=1)]
    profile: RenderProfile
    parts: Annotated[tuple[Part, ...], Field(min_length=1)] = Field(
        description="in order, without holes, from frame 0 to the last line's end; the outro is added"
    )
    song: Song | None = None
    song_path: Path | None = Field(None, description="the song's file; there when there is a song")
    lyrics: tuple[Lyric, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    mixes_dir: Path = Field(description="where finished mixes lie, such as artifacts/mixes")
    songs_dir: Path = Field(description="where encoded songs are kept, such as artifacts/songs")

    @model_validator(mode="after")
    def _has_the_song_that_it_names(self) -> "AssembleOrder":
        if (self.song is None) != (self.song_path is None):
            raise ValueError("a song needs its file")
        return self

    @property
    def out_dir(self) -> Path:
        """Where this revision's files lie."""
        return self.mixes_dir / self.mix_id / f"r{self.revision}"

    @property
    def frames(self) -> int:
        """Frames to the last line's end."""
        return sum(part.frames for part in self.parts)


class Assembled(_Message):
    """The finished video, verified and under its final name."""

    path: Path
    sha256: Sha256
    bytes: int
    frames: int
    duration_ms: int
