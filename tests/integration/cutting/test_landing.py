"""A cut lands on the nearest keyframe and need not go back further than the source makes it."""

from typing import Any

import pytest

from stream_app.cutting import decode
from stream_app.cutting.index import SourceIndex, index_source
from stream_app.sources.source_file import SourceFile

OPEN_GOP = {"preset": "veryfast", "x264-params": "open-gop=1:keyint=30:scenecut=0:bframes=3:b-adapt=0:ref=4"}
"""With it, x264 lets go of a B-frame from before a keyframe in the third packet from the keyframe on."""


@pytest.fixture
def landings(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """How far back each landing went, in seconds."""
    seen: list[int | None] = []

    def land(container: Any, stream: Any, index: SourceIndex, first: int, landing_s: int | None) -> None:
        seen.append(landing_s)
        real(container, stream, index, first, landing_s)

    real = decode.land
    monkeypatch.setattr(decode, "land", land)
    return seen


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_an_open_group_of_pictures_is_entered_at_its_own_keyframe(
    footage: Any, landings: list[int | None], suffix: str, tmp_path: Any
) -> None:
    kind = footage.Kind(suffix=suffix, frames=90, options=OPEN_GOP)
    index = index_source(SourceFile(footage.make(kind, tmp_path / f"open.{suffix}").path))
    wanted = index.clock.pts[70:75]
    assert [frame.pts for frame in decode.decode_wanted(index, wanted)] == list(wanted)
    assert landings == [0]
