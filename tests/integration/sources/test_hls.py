"""HLS from a real server: the frames are those of the whole film, and only what is needed is asked for."""

import asyncio
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from fault_server import Fault
from hls_streams import (
    RATE,
    Stream,
    segmented,
)
from hls_world import LAST_MS, SHOWN, World, positions

from stream_app.domain.errors import SourceError
from stream_app.sources.cache import SourceCache
from stream_app.sources.hls import obtain_hls
from stream_app.sources.source_file import Need
from stream_app.sources.sources import Sources
from topics.reasons import FallbackReason


async def test_transport_streams(world: World, ts: Stream, whole_cut: Any) -> None:
    world.put(ts)
    for start_ms in positions(ts):
        assert await world.cut(ts.playlist, start_ms) == whole_cut(start_ms), start_ms
    assert max(world.server.requests.values()) == 1


async def test_fragmented_mp4(world: World, fmp4: Stream, whole_cut: Any) -> None:
    world.put(fmp4)
    for start_ms in positions(fmp4):
        assert await world.cut(fmp4.playlist, start_ms) == whole_cut(start_ms), start_ms
    assert max(world.server.requests.values()) == 1


@pytest.mark.parametrize("kind", ["ts", "fmp4"])
async def test_only_the_needed_segments_are_asked_for(
    world: World, kind: str, request: pytest.FixtureRequest
) -> None:
    stream: Stream = request.getfixturevalue(kind)
    world.put(stream)
    names, starts = stream.segments, stream.starts()
    maps = {"init.mp4"} if kind == "fmp4" else set()
    assert await world.cut(stream.playlist, int(starts[3] * 1000) + 100)
    assert world.asked() == {names[0], names[3], *maps}
    # The span ends in segment 5, and begins in 4.
    await world.cut(stream.playlist, int(starts[5] * 1000) - 200)
    assert world.asked() == {names[0], names[3], names[4], names[5], *maps}


async def test_lines_share_what_was_fetched_and_measured(world: World, ts: Stream) -> None:
    world.put(ts)
    start_ms = int(ts.starts()[3] * 1000) + 100
    clips = await asyncio.gather(*(_obtained(world, ts, start_ms + 10 * line) for line in range(8)))
    assert len(set(clips)) == 1
    assert world.server.requests.total() == world.prober.measured == 2


async def _obtained(world: World, stream: Stream, start_ms: int) -> tuple[str | None, Fraction]:
    need = Need(start_ms, SHOWN, 0, RATE)
    parts = {"client": world.client, "cache": world.cache, "prober": world.prober, "settings": world.settings}
    async with obtain_hls(stream.playlist, world.server.url("/s/index.m3u8"), need, **parts) as file:
        return file.identity, file.starts_at


async def test_a_missing_segment_matters_when_it_is_needed(world: World, ts: Stream, whole_cut: Any) -> None:
    world.put(ts)
    names, starts = ts.segments, ts.starts()
    world.server.faults[f"/s/{names[4]}"] = Fault(status=404)
    for place in (4, 3):
        with pytest.raises(SourceError, match=r"segment 11: .*404") as caught:
            await world.cut(ts.playlist, int(starts[place + 1] * 1000) - 200)
        assert caught.value.reason is FallbackReason.CDN_ERROR
    start_ms = int(starts[5] * 1000) + 100
    assert await world.cut(ts.playlist, start_ms) == whole_cut(start_ms)
    # Without the first one, the clock's zero is not known.
    world.server.faults["*"] = Fault(status=404)
    with pytest.raises(SourceError):
        await world.cut(ts.playlist.replace(names[0].encode(), b"gone.ts"), start_ms)


async def test_a_candidate_may_be_a_playlist(world: World, ts: Stream) -> None:
    """Told by its content, whatever its name and its type are."""
    world.put(ts)
    world.server.put("/s/film.mp4", ts.playlist)
    need = Need(int(ts.starts()[3] * 1000) + 100, SHOWN, 0, RATE)
    async with (
        Sources(world.settings, world.prober) as sources,
        sources.obtain(world.server.url("/s/film.mp4"), need) as file,
    ):
        assert file.path.read_bytes() == (ts.folder / ts.segments[3]).read_bytes()
        assert file.starts_at == Fraction(125, 30)


async def test_a_gap_is_a_missing_segment(world: World, ts: Stream, whole_cut: Any) -> None:
    world.put(ts)
    gap = ts.playlist.replace(ts.segments[4].encode(), b"#EXT-X-GAP\n" + ts.segments[4].encode())
    with pytest.raises(SourceError, match="EXT-X-GAP") as caught:
        await world.cut(gap, int(ts.starts()[4] * 1000) + 100)
    assert caught.value.reason is FallbackReason.CDN_ERROR
    assert await world.cut(gap, 0) == whole_cut(0)


@pytest.mark.parametrize("iv", ["", "0x00000000000000000000000000c0ffee"])
async def test_encrypted_segments(
    world: World, source: Path, tmp_path: Path, whole_cut: Any, iv: str
) -> None:
    (tmp_path / "key").write_bytes(bytes(range(16)))
    (tmp_path / "key_info").write_text("\n".join(["key", str(tmp_path / "key"), iv.removeprefix("0x")]))
    stream = segmented(
        source, tmp_path / "aes", "-hls_key_info_file", str(tmp_path / "key_info"), "-start_number", "3"
    )
    assert b"METHOD=AES-128" in stream.playlist
    playlist = stream.playlist
    if not iv:
        # FFmpeg writes what holds without it, too: the media sequence number.
        playlist = re.sub(rb",IV=0x0{31}\d\n", b"\n", playlist)
    assert (b"IV=" in playlist) == bool(iv)
    world.put(stream)
    world.server.put("/s/key", bytes(range(16)))
    for start_ms in (0, 1600, LAST_MS):
        assert await world.cut(playlist, start_ms) == whole_cut(start_ms)
    assert world.server.requests["/s/key"] == 1
    assert not any(bytes(range(16)).hex() in str(name) for name in world.identities)
    world.server.put("/s/other", b"another key 1234")
    with pytest.raises(SourceError, match="segment 3: ") as caught:
        await world.cut(playlist.replace(b'"key"', b'"other"'), 0)
    assert caught.value.reason is FallbackReason.SOURCE_INVALID


async def test_an_encrypted_map(world: World, fmp4: Stream, whole_cut: Any) -> None:
    key, iv = b"sixteen bytes ok", bytes(15) + b"\x09"
    for file in fmp4.folder.iterdir():
        padding, cipher = PKCS7(128).padder(), Cipher(AES128(key), CBC(iv)).encryptor()
        padded = padding.update(file.read_bytes()) + padding.finalize()
        world.server.put(f"/s/{file.name}", cipher.update(padded) + cipher.finalize())
    world.server.put("/s/key", key)
    told = f'#EXT-X-KEY:METHOD=AES-128,URI="key",IV=0x{iv.hex()}\n#EXT-X-MAP'.encode()
    for start_ms in (0, 4100):
        assert await world.cut(fmp4.playlist.replace(b"#EXT-X-MAP", told), start_ms) == whole_cut(start_ms)


@pytest.mark.parametrize("kind", ["mpegts", "fmp4"])
@pytest.mark.parametrize("offsets", ["each", "the first"])
async def test_byte_ranges_of_one_file(  # noqa: PLR0917 - fixtures and what varies
    world: World, source: Path, tmp_path: Path, whole_cut: Any, kind: str, offsets: str
) -> None:
    stream = segmented(source, tmp_path / "one", "-hls_flags", "single_file", "-hls_segment_type", kind)
    world.put(stream)
    lines = list(stream.lines)
    if offsets == "the first":
        ranges = [place for place, line in enumerate(lines) if line.startswith("#EXT-X-BYTERANGE")]
        for place in ranges[1:]:
            lines[place] = lines[place].partition("@")[0]
    for start_ms in (0, 3200, LAST_MS):
        assert await world.cut("\n".join(lines), start_ms) == whole_cut(start_ms)
    whole = (stream.folder / stream.segments[0]).stat().st_size
    assert world.server.sent[f"/s/{stream.segments[0]}"] < whole * 0.85


async def test_the_best_variant_is_cut(world: World, ts: Stream, fmp4: Stream, whole_cut: Any) -> None:
    world.put(ts, "/s/low")
    world.put(fmp4, "/elsewhere/high")
    master = (
        '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9000000,CODECS="mp4a.40.2"\nsound.m3u8\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=320x180\nlow/index.m3u8\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=700000,RESOLUTION=640x360,CODECS="avc1.64001f"\nhigh.m3u8\n'
    )
    # Relative addresses start from where a redirect leads.
    moved = {"Location": "/elsewhere/high/index.m3u8"}
    world.server.faults["/s/high.m3u8"] = Fault(status=302, headers=moved)
    assert await world.cut(master, 4000) == whole_cut(4000)
    assert {path.split("/")[1] for path in world.server.requests} == {"s", "elsewhere"}
    assert "/s/low/index.m3u8" not in world.server.requests
    world.server.put("/s/low/index.m3u8", master.encode())
    with pytest.raises(SourceError, match="master playlist") as caught:
        await world.cut(master.replace("high.m3u8", "low/index.m3u8"), 0)
    assert caught.value.reason is FallbackReason.SOURCE_INVALID


async def test_a_cache_that_keeps_nothing(world: World, ts: Stream, tmp_path: Path, whole_cut: Any) -> None:
    world.put(ts)
    world.cache = SourceCache(tmp_path / "none", 0)
    start_ms = int(ts.starts()[5] * 1000) - 150
    assert await world.cut(ts.playlist, start_ms) == whole_cut(start_ms)
    path = f"/s/{ts.segments[4]}"
    well = world.server.requests[path] + 1
    world.server.faults[path] = Fault(body=b"G" * 188, headers={"ETag": '"other"'}, skip=well)
    with pytest.raises(SourceError, match="has changed between two requests") as caught:
        await world.cut(ts.playlist, start_ms)
    assert (caught.value.reason, caught.value.retryable) == (FallbackReason.CDN_ERROR, True)


async def test_a_web_page_is_no_segment(world: World, ts: Stream) -> None:
    world.put(ts)
    world.server.put(f"/s/{ts.segments[3]}", b"<html>please log in</html>")
    with pytest.raises(SourceError, match=r"segment 10: .*neither") as caught:
        await world.cut(ts.playlist, int(ts.starts()[3] * 1000) + 100)
    assert caught.value.reason is FallbackReason.SOURCE_INVALID
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1/a.ts", "http://169.254.169.254/latest", "http://[::1]/a"]
)
async def test_the_guard_judges_segments_and_keys(world: World, ts: Stream, address: str) -> None:
    world.put(ts)
    segment = ts.playlist.replace(ts.segments[0].encode(), address.encode())
    key = ts.playlist.replace(b"#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{address}"\n#EXTINF'.encode(), 1)
    for playlist in (segment, key):
        with pytest.raises(SourceError) as caught:
            await world.cut(playlist, 0)
        assert caught.value.reason is FallbackReason.SOURCE_REFUSED


async def test_more_bytes_than_are_let_in(world: World, ts: Stream) -> None:
    world.put(ts)
    sizes = [(ts.folder / name).stat().st_size for name in ts.segments]
    world.settings = world.settings.model_copy(update={"max_source_bytes": sum(sizes[:3])})
    assert await world.cut(ts.playlist, 0)
    with pytest.raises(SourceError, match="RENDER_MAX_SOURCE_BYTES") as caught:
        await world.cut(ts.playlist, 0, frames=180)
    assert caught.value.reason is FallbackReason.SOURCE_INVALID
