"""HLS by its real times: clocks that jump, wrap or start anywhere, and playlists that are not exact."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hls_streams import (
    RATE,
    VIDEO_CHANNEL,
    Stream,
    film,
    numbered_footage,
    remuxed_one_by_one,
    segmented,
    spliced,
    without_channel,
)
from hls_world import LAST_MS, LENGTH_MS, PROFILE, SHOWN, World, positions

from stream_app.cutting.cut import cut_clip
from stream_app.cutting.orders import CutOrder
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import SourceFile
from topics.reasons import FallbackReason


async def test_without_word_of_keyframes_a_neighbour_is_taken_along(
    world: World, ts: Stream, whole_cut: Any
) -> None:
    world.put(ts)
    world.prober.finds_keys = False
    names, start_ms = ts.segments, int(ts.starts()[5] * 1000)
    assert await world.cut(ts.playlist, start_ms + 600) == whole_cut(start_ms + 600)
    assert world.asked() == {names[0], names[5]}
    assert await world.cut(ts.playlist, start_ms + 100) == whole_cut(start_ms + 100)
    assert world.asked() == {names[0], names[4], names[5]}


async def test_no_neighbour_is_taken_along_over_a_discontinuity(
    world: World, ts: Stream, whole_cut: Any
) -> None:
    world.put(ts, "/s/ts")
    world.prober.finds_keys = False
    start_ms = int(ts.starts()[5] * 1000) + 100
    assert await world.cut(spliced((ts, range(5)), (ts, range(5, 8))), start_ms) == whole_cut(start_ms)
    assert world.identities[0] is not None
    assert not world.identities[0].startswith("hls-")


JUMPS_S = {"far ahead": (0, 500), "back": (500, 0), "a little ahead": (0, 5), "a little back": (5, 0)}


@pytest.mark.parametrize("jump", JUMPS_S)
async def test_a_clock_that_jumps_at_a_discontinuity(
    world: World, source: Path, tmp_path: Path, whole_cut: Any, jump: str
) -> None:
    one, two = (
        segmented(source, tmp_path / name, "-output_ts_offset", str(offset_s))
        for name, offset_s in zip(("one", "two"), JUMPS_S[jump], strict=True)
    )
    await _cut_over_borders(world, one, two, whole_cut)


async def test_counters_that_begin_anew_in_each_segment(
    world: World, source: Path, ts: Stream, tmp_path: Path, whole_cut: Any
) -> None:
    late = segmented(source, tmp_path / "late", "-output_ts_offset", "5")
    await _cut_over_borders(world, ts, remuxed_one_by_one(late, tmp_path / "anew"), whole_cut)


async def _cut_over_borders(world: World, one: Stream, two: Stream, whole_cut: Any) -> None:
    for stream in (one, two):
        world.put(stream, f"/s/{stream.folder.name}")
    playlist = spliced((one, range(4)), (two, range(4, 6)), (one, range(6, 8)))
    borders = [int(one.starts()[place] * 1000) for place in (4, 6)]
    for start_ms in (0, borders[0] - 150, borders[0] - 17, borders[1] + 100, LAST_MS):
        assert await world.cut(playlist, start_ms) == whole_cut(start_ms), start_ms
    long_ms = borders[0] - 500
    assert await world.cut(playlist, long_ms, frames=100) == whole_cut(long_ms, 100)


async def test_only_the_ends_of_earlier_stretches_are_asked_for(world: World, ts: Stream) -> None:
    world.put(ts, "/s/ts")
    names = ts.segments
    playlist = spliced((ts, range(3)), (ts, range(3, 6)), (ts, range(6, 8)))
    await world.cut(playlist, int(ts.starts()[7] * 1000) + 100)
    assert world.asked() == {names[place] for place in (0, 2, 3, 5, 6, 7)}


async def test_the_true_length_of_an_earlier_stretch_counts(world: World, ts: Stream, whole_cut: Any) -> None:
    """The playlist is some percent off, and 0.3 s at the border are 9 frames."""
    world.put(ts, "/s/ts")
    playlist = spliced((ts, range(5)), (ts, range(5, 8))).replace("#EXTINF:1.666667", "#EXTINF:1.6")
    for start_ms in (int(ts.starts()[5] * 1000) - 150, int(ts.starts()[6] * 1000), LAST_MS):
        assert await world.cut(playlist, start_ms) == whole_cut(start_ms)


@pytest.mark.parametrize("first_s", [0, 3600, 95_443 - 4])
async def test_any_start_of_the_clock(
    world: World, source: Path, tmp_path: Path, whole_cut: Any, first_s: int
) -> None:
    """The last one wraps on the way: 2^33 ticks of 1/90000 s are 95,443.7 s."""
    stream = segmented(source, tmp_path / "late", "-output_ts_offset", str(first_s))
    world.put(stream)
    for start_ms in (0, 1700, 2600, 4000, 5800, LAST_MS):
        assert await world.cut(stream.playlist, start_ms) == whole_cut(start_ms), start_ms


async def test_a_clock_that_wraps_long_after_the_start(world: World, tmp_path: Path) -> None:
    """A demuxer that sees the first segment only cannot know that the clock will."""
    slow = film(tmp_path / "slow.mp4", rate=Fraction(4), sound=False)
    stream = segmented(slow, tmp_path / "slow", "-output_ts_offset", str(95_443 - 66))
    world.put(stream)
    for start_ms in (0, 30_000, 61_900, 64_000, 66_000, 74_000):
        cut_clip(CutOrder(SourceFile(slow), start_ms, SHOWN, 0, PROFILE), tmp_path / "whole.mp4")
        expected = numbered_footage().read_clip(tmp_path / "whole.mp4")
        assert await world.cut(stream.playlist, start_ms) == expected, start_ms


@pytest.mark.parametrize("factor", [0.93, 1.06])
async def test_lengths_that_are_not_true(world: World, ts: Stream, whole_cut: Any, factor: float) -> None:
    world.put(ts)
    lines = [
        f"#EXTINF:{float(line[8:-1]) * factor:.3f}," if line.startswith("#EXTINF") else line
        for line in ts.lines
    ]
    for start_ms in positions(ts):
        assert await world.cut("\n".join(lines), start_ms) == whole_cut(start_ms), start_ms


async def test_segments_that_begin_without_a_keyframe(world: World, tmp_path: Path, whole_cut: Any) -> None:
    """Keyframes every 60 frames, segments every 21."""
    long_gops = film(tmp_path / "gops.mp4", options={"preset": "veryfast", "g": "60", "bf": "3"})
    stream = segmented(long_gops, tmp_path / "split", "-hls_flags", "split_by_time", "-hls_time", "0.7")
    assert len(stream.segments) > 12
    world.put(stream)
    for start_ms in (0, 700, 2150, 3000, 4900, 6010, LAST_MS):
        assert await world.cut(stream.playlist, start_ms) == whole_cut(start_ms), start_ms


async def test_frames_before_a_keyframe_that_need_what_came_before_it(world: World, tmp_path: Path) -> None:
    options = {"preset": "veryfast", "x264-params": "open-gop=1:keyint=24:bframes=3"}
    stream = segmented(film(tmp_path / "open.mp4", options=options), tmp_path / "open")
    world.put(stream)
    for start in stream.starts()[1:6]:
        for off_ms in (-120, -40, 0, 40):
            start_ms = round(start * 1000) + off_ms
            shown = await world.cut(stream.playlist, start_ms)
            assert shown[0] is not None
            assert shown == list(range(shown[0], shown[0] + SHOWN))
            assert abs(Fraction(shown[0]) / RATE * 1000 - start_ms) < 34


async def test_a_last_segment_with_sound_only(world: World, ts: Stream, whole_cut: Any) -> None:
    world.put(ts)
    sound = without_channel((ts.folder / ts.segments[-1]).read_bytes(), VIDEO_CHANNEL)
    world.server.put("/s/sound.ts", sound)
    playlist = ts.playlist.replace(b"#EXT-X-ENDLIST", b"#EXTINF:0.9,\nsound.ts\n#EXT-X-ENDLIST")
    assert await world.cut(playlist, LAST_MS) == whole_cut(LAST_MS)
    assert await world.cut(playlist, LAST_MS, extend=20) == [*whole_cut(LAST_MS), *[-1] * 20]
    for start_ms in (LAST_MS + 60, LENGTH_MS + 100, LENGTH_MS + 1500):
        with pytest.raises(SourceError) as caught:
            await world.cut(playlist, start_ms)
        assert caught.value.reason is FallbackReason.SOURCE_TOO_SHORT


@pytest.mark.parametrize("kind", ["ts", "fmp4"])
async def test_past_the_end_is_too_short(world: World, kind: str, request: pytest.FixtureRequest) -> None:
    stream: Stream = request.getfixturevalue(kind)
    world.put(stream)
    for start_ms in (LAST_MS + 60, LENGTH_MS + 100, 3_600_000):
        with pytest.raises(SourceError) as caught:
            await world.cut(stream.playlist, start_ms)
        assert caught.value.reason is FallbackReason.SOURCE_TOO_SHORT


async def test_channels_that_change_at_a_discontinuity(
    world: World, source: Path, ts: Stream, tmp_path: Path, whole_cut: Any
) -> None:
    other = segmented(source, tmp_path / "other", "-hls_segment_options", "mpegts_start_pid=0x200")
    for stream in (ts, other):
        world.put(stream, f"/s/{stream.folder.name}")
    playlist = spliced((ts, range(4)), (other, range(4, 8)))
    border_ms = int(ts.starts()[4] * 1000)
    for start_ms in (0, border_ms - 600, border_ms - 300, border_ms + 100):
        assert await world.cut(playlist, start_ms) == whole_cut(start_ms), start_ms
    with pytest.raises(SourceError, match="changes its kind at a discontinuity") as caught:
        await world.cut(playlist, border_ms - 100)
    assert caught.value.reason is FallbackReason.SOURCE_INVALID


async def test_fragments_of_another_kind_behind_a_discontinuity(
    world: World, source: Path, fmp4: Stream, tmp_path: Path, whole_cut: Any
) -> None:
    """They do not go into one file: cut on either side of the border; over it, an extension is black."""
    late = segmented(
        source, tmp_path / "late", "-hls_segment_type", "fmp4", "-video_track_timescale", "12800", "-an"
    )
    world.put(fmp4, "/s/fmp4")
    world.put(late, "/s/late")
    one, two = spliced((fmp4, range(4)), (late, range(4, 8))).split("#EXT-X-DISCONTINUITY")
    map_one, map_two = (f'#EXT-X-MAP:URI="{folder}/init.mp4"\n' for folder in ("fmp4", "late"))
    playlist = one.replace(map_two, "") + "#EXT-X-DISCONTINUITY" + two.replace(map_one, "")
    border_ms = int(late.starts()[4] * 1000)
    for start_ms in (0, border_ms - 400, border_ms + 100, LAST_MS):
        assert await world.cut(playlist, start_ms) == whole_cut(start_ms), start_ms
    shown = await world.cut(playlist, border_ms - 400, extend=20)
    assert (shown[:12], shown[12:]) == ([*range(163, 175)], [-1] * 17)
    with pytest.raises(SourceError, match="another one from segment 4 on") as caught:
        await world.cut(playlist, border_ms - 100)
    assert caught.value.reason is FallbackReason.SOURCE_INVALID


async def test_fragments_that_run_on_over_a_discontinuity(world: World, fmp4: Stream, whole_cut: Any) -> None:
    world.put(fmp4, "/s/fmp4")
    start_ms = int(fmp4.starts()[4] * 1000) - 150
    assert await world.cut(spliced((fmp4, range(4)), (fmp4, range(4, 8))), start_ms) == whole_cut(start_ms)


async def test_a_clock_that_jumps_without_notice_is_refused(world: World, ts: Stream) -> None:
    world.put(ts, "/s/ts")
    playlist = spliced((ts, range(2)), (ts, range(6, 8))).replace("#EXT-X-DISCONTINUITY\n", "")
    with pytest.raises(SourceError, match="without EXT-X-DISCONTINUITY") as caught:
        await world.cut(playlist, 3100, frames=20)
    assert caught.value.reason is FallbackReason.SOURCE_INVALID
