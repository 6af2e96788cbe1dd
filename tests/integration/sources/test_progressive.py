"""Sources that are one file on a server: only the bytes that a span needs, where that is possible."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from fault_server import Fault, FaultServer
from imageio_ffmpeg import get_ffmpeg_exe
from prometheus_client import REGISTRY

from stream_app.domain.errors import SourceError
from stream_app.settings import Settings
from stream_app.sources.source_file import ByteSpan, Need, SourceFile, Times
from stream_app.sources.sources import Sources
from topics.reasons import FallbackReason

RATE = Fraction(25)
SECONDS = 20
GOP = 25


class IndexProber:
    """Locates a span by what libav reads of the file's index; whole GOPs, and half a second for good
    measure."""

    def __init__(self) -> None:
        self.seen: list[SourceFile] = []

    async def locate(self, file: SourceFile, need: Need) -> tuple[ByteSpan, ...] | None:
        self.seen.append(file)
        return await asyncio.to_thread(_locate, file.path, need)

    async def measure(self, path: Path) -> Times:
        raise NotImplementedError(path)


def _locate(path: Path, need: Need) -> tuple[ByteSpan, ...] | None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        start = Fraction(need.start_ms, 1000) / stream.time_base
        end = (need.end_ms / 1000 + Fraction(1, 2)) / stream.time_base
        # An entry is of use while its file is open only.
        entries = [
            (entry.timestamp, entry.is_keyframe, entry.pos, entry.size) for entry in stream.index_entries
        ]
    key = max(time for time, is_key, _, _ in entries if is_key and time <= start)
    return tuple((at, at + size) for time, _, at, size in entries if key <= time < end)


def frames(path: Path, need: Need) -> list[bytes]:
    """The pictures of the span."""
    pictures = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        container.seek(need.start_ms * 1000)
        for frame in container.decode(stream):
            assert frame.pts is not None
            at_ms = frame.pts * stream.time_base * 1000
            if at_ms >= need.end_ms:
                break
            if at_ms >= need.start_ms:
                assert not frame.is_corrupt
                pictures.append(frame.to_ndarray().tobytes())
    return pictures


def _film(path: Path, *options: str) -> Path:
    noise = f"color=gray:s=320x180:r={RATE}:d={SECONDS},noise=alls=90:allf=t"
    sound = f"sine=r=48000:d={SECONDS}"
    encoder = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-qp",
        "23",
        "-g",
        str(GOP),
        "-bf",
        "0",
        "-c:a",
        "aac",
    ]
    command = [get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", noise, "-f", "lavfi", "-i", sound]
    subprocess.run([*command, *encoder, *options, path], check=True, timeout=120)
    return path


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    film = _film(folder / "end.mp4")
    for name, flags in {
        "front.mp4": ["-movflags", "+faststart"],
        "fragmented.mp4": ["-movflags", "+frag_keyframe+empty_moov"],
        "half-fragmented.mp4": ["-movflags", "+frag_keyframe"],
        "film.mkv": [],
        "short.mp4": ["-t", "0.4"],
    }.items():
        copy = [get_ffmpeg_exe(), "-v", "error", "-y", "-i", film, "-c", "copy", *flags, folder / name]
        subprocess.run(copy, check=True, timeout=120)
    return folder


class World:
    """Films on a server, and the sources that a worker gets of them."""

    def __init__(self, films: Path, server: FaultServer, sources: Sources, prober: IndexProber) -> None:
        self.films, self.server, self.sources, self.prober = films, server, sources, prober

    async def check(self, name: str, start_ms: int = 8300, count: int = 50) -> SourceFile:
        """Obtain a span and see that its pictures are the film's own."""
        need = Need(start_ms, count, 0, RATE)
        async with self.sources.obtain(self.server.url(f"/{name}"), need) as file:
            seen = await asyncio.to_thread(frames, file.path, need)
            assert len(seen) == count
            assert seen == await asyncio.to_thread(frames, self.films / name, need)
            assert file.path.stat().st_size == (self.films / name).stat().st_size
        return file

    def sent(self, name: str) -> int:
        return self.server.sent[f"/{name}"]

    def requests(self, name: str) -> int:
        return self.server.requests[f"/{name}"]

    def size(self, name: str) -> int:
        return (self.films / name).stat().st_size


def settings_for(root: Path, **changes: object) -> Settings:
    return Settings(
        _env_file=None, artifacts_dir=root, media_roots=(root,), allow_cidrs="127.0.0.0/8", **changes
    )


@pytest.fixture
async def world(films: Path, tmp_path: Path) -> AsyncIterator[World]:
    prober = IndexProber()
    async with FaultServer(films) as server, Sources(settings_for(tmp_path), prober) as sources:
        yield World(films, server, sources, prober)


def bytes_read() -> float:
    return REGISTRY.get_sample_value("render_fetch_bytes_total") or 0


@pytest.mark.parametrize(("name", "requests"), [("front.mp4", 2), ("end.mp4", 3)])
async def test_a_span_of_a_long_film_takes_a_small_part_of_it(world: World, name: str, requests: int) -> None:
    assert world.size(name) > 20_000_000
    file = await world.check(name)
    assert world.sent(name) < world.size(name) / 4
    assert world.requests(name) == requests
    assert file.present is not None
    assert file.identity is not None
    blocks = file.path.stat().st_blocks * 512
    assert blocks < world.size(name) / 4, "holes take no place"


async def test_the_prober_is_given_an_index_that_is_there(world: World) -> None:
    await world.check("end.mp4")
    [seen] = world.prober.seen
    assert seen.present is not None
    assert seen.present[-1][1] == world.size("end.mp4")


async def test_bytes_that_are_there_are_not_fetched_again(world: World) -> None:
    first = await world.check("end.mp4", 8300)
    sent = world.sent("end.mp4")
    assert await world.check("end.mp4", 8300) == first
    assert world.sent("end.mp4") == sent
    later = await world.check("end.mp4", 9300)
    assert later.path == first.path
    assert later.identity == first.identity
    assert world.sent("end.mp4") - sent < world.size("end.mp4") / 10


async def test_twenty_lines_of_one_film_fetch_each_byte_once(world: World) -> None:
    await asyncio.gather(*(world.check("front.mp4", 8300, 10) for _ in range(20)))
    assert world.requests("front.mp4") == 2
    await asyncio.gather(*(world.check("front.mp4", start, 10) for start in range(0, 19_000, 1000)))
    assert world.sent("front.mp4") <= world.size("front.mp4") * 1.05


@pytest.mark.parametrize("name", ["film.mkv", "fragmented.mp4", "half-fragmented.mp4"])
async def test_what_has_no_index_to_go_by_is_fetched_whole_and_once(world: World, name: str) -> None:
    files = await asyncio.gather(*(world.check(name, start) for start in (1000, 5000, 9000, 13_000)))
    assert {file.present for file in files} == {None}
    assert len({file.identity for file in files}) == 1
    assert world.sent(name) == world.size(name)


async def test_a_small_file_is_fetched_whole_without_a_look_at_its_index(world: World) -> None:
    assert 256 * 1024 < world.size("short.mp4") < 1024 * 1024
    await world.check("short.mp4", 0, 5)
    assert world.requests("short.mp4") == 2
    assert world.sent("short.mp4") == world.size("short.mp4")
    world.server.put("/tiny", (world.films / "short.mp4").read_bytes()[: 200 * 1024])
    need = Need(0, 1, 0, RATE)
    async with world.sources.obtain(world.server.url("/tiny"), need) as file:
        assert file.present is None
    assert world.requests("tiny") == 1, "all of it is in what is asked for first"
    assert len(world.prober.seen) == 0


@pytest.mark.parametrize(
    "fault",
    [
        Fault(ignore_range=True),
        Fault(ignore_range=True, chunked=True),
        Fault(headers={"ETag": "", "Last-Modified": ""}),
    ],
    ids=["ranges ignored", "ranges ignored, no length", "content without a name"],
)
async def test_servers_without_ranges_to_trust_give_the_whole(world: World, fault: Fault) -> None:
    world.server.faults["*"] = fault
    file = await world.check("end.mp4")
    assert file.present is None
    assert world.requests("end.mp4") == (1 if fault.ignore_range else 2)
    assert await world.check("end.mp4", 1000) == file
    assert world.sent("end.mp4") <= world.size("end.mp4") + 256 * 1024


@pytest.mark.parametrize("other", ["front.mp4", "short.mp4"], ids=["as long", "shorter"])
async def test_content_that_changes_between_two_ranges_is_an_error_and_then_the_new_one(
    world: World, other: str
) -> None:
    world.server.put("/a.mp4", (world.films / "end.mp4").read_bytes())
    need, later = Need(8300, 25, 0, RATE), Need(0, 5, 0, RATE)
    address = world.server.url("/a.mp4")
    async with world.sources.obtain(address, need) as old:
        world.server.put("/a.mp4", (world.films / other).read_bytes())
        with pytest.raises(SourceError) as caught:
            async with world.sources.obtain(address, Need(15_000, 25, 0, RATE)):
                pytest.fail("its bytes are gone")
        assert (caught.value.reason, caught.value.retryable) == (FallbackReason.CDN_ERROR, True)
        async with world.sources.obtain(address, later) as new:
            assert new.identity != old.identity
            assert frames(new.path, later) == frames(world.films / other, later)
        assert frames(old.path, need) == frames(world.films / "end.mp4", need)


async def test_a_range_that_breaks_off_is_gone_on_with(world: World) -> None:
    world.server.faults["/front.mp4"] = Fault(cut_after=1_000_000, skip=1, times=1)
    await world.check("front.mp4")
    assert world.requests("front.mp4") == 3
    assert world.sent("front.mp4") < world.size("front.mp4") / 4


async def test_a_film_keeps_its_identity_when_it_is_fetched_anew(world: World, tmp_path: Path) -> None:
    first = await world.check("end.mp4")
    async with Sources(settings_for(tmp_path / "other"), world.prober) as world.sources:
        again = await world.check("end.mp4")
    assert again.identity == first.identity
    assert again.path != first.path


async def test_a_film_keeps_its_identity_wherever_its_address_leads(world: World, tmp_path: Path) -> None:
    seen = []
    for number in (1, 2):
        location = {"Location": f"/end.mp4?edge={number}"}
        world.server.faults["/go"] = Fault(status=302, headers=location)
        async with (
            Sources(settings_for(tmp_path / str(number)), world.prober) as sources,
            sources.obtain(world.server.url("/go"), Need(8300, 5, 0, RATE)) as file,
        ):
            seen.append(file.identity)
    assert seen[0] == seen[1]
    assert {request.target for request in world.server.log} >= {"/end.mp4?edge=1", "/end.mp4?edge=2"}


async def test_what_is_too_large_is_refused_by_its_size(films: Path, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, max_source_bytes=20_000_000)
    async with FaultServer(films) as server, Sources(settings, IndexProber()) as sources:
        with pytest.raises(SourceError) as caught:
            async with sources.obtain(server.url("/end.mp4"), Need(0, 5, 0, RATE)):
                pytest.fail("it is too large")
    assert caught.value.reason is FallbackReason.SOURCE_INVALID
    assert server.requests["/end.mp4"] == 1


async def test_a_page_is_handed_out_as_what_it_is(world: World) -> None:
    world.server.put("/page.mp4", b"<html>gone</html>")
    async with world.sources.obtain(world.server.url("/page.mp4"), Need(0, 5, 0, RATE)) as file:
        assert file.path.read_bytes() == b"<html>gone</html>"


async def test_a_playlist_of_many_megabytes_is_refused(world: World) -> None:
    world.server.put("/list.m3u8", b"#EXTM3U\n" + b"#\n" * 3_000_000)
    before = bytes_read()
    with pytest.raises(SourceError) as caught:
        async with world.sources.obtain(world.server.url("/list.m3u8"), Need(0, 5, 0, RATE)):
            pytest.fail("it is too large")
    assert caught.value.reason is FallbackReason.SOURCE_INVALID
    assert bytes_read() - before == 256 * 1024


async def test_a_song_is_fetched_whole_in_one_request(world: World) -> None:
    async with world.sources.obtain_whole(world.server.url("/end.mp4")) as file:
        assert file.path.read_bytes() == (world.films / "end.mp4").read_bytes()
        assert file.present is None
    assert world.requests("end.mp4") == 1


async def test_a_local_source_is_itself(world: World, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    for obtained in (world.sources.obtain("a.mp4", Need(0, 5, 0, RATE)), world.sources.obtain_whole("a.mp4")):
        async with obtained as file:
            assert file == SourceFile(tmp_path / "a.mp4")


async def test_the_guard_is_closed_unless_it_is_opened(films: Path, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, artifacts_dir=tmp_path)
    async with FaultServer(films) as server, Sources(settings, IndexProber()) as sources:
        with pytest.raises(SourceError) as caught:
            async with sources.obtain(server.url("/end.mp4"), Need(0, 5, 0, RATE)):
                pytest.fail("it is on loopback")
    assert caught.value.reason is FallbackReason.SOURCE_REFUSED
    assert server.total_requests == 0
