"""A server with recordings in segments, what fetches from it, and the cutter that shows what came of it.

The fixtures are for the tests of HLS: import them into a conftest.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest
from fault_server import FaultServer
from hls_streams import FRAMES, RATE, Stream, film, numbered_footage, segmented

from stream_app.cutting.cut import cut_clip
from stream_app.cutting.locate import measure
from stream_app.cutting.orders import CutOrder
from stream_app.settings import Settings
from stream_app.sources.cache import SourceCache
from stream_app.sources.hls import obtain_hls
from stream_app.sources.http import HttpClient
from stream_app.sources.source_file import ByteSpan, Need, SourceFile, Times
from topics.profile import RenderProfile

SHOWN = 9
LENGTH_MS = FRAMES * 1000 // int(RATE)
LAST_MS = LENGTH_MS - SHOWN * 1000 // int(RATE)
PROFILE = RenderProfile(width=160, height=90, quality="draft")


class Prober:
    """Measures as cutters do, and counts how often; looks for keyframes or not."""

    def __init__(self) -> None:
        self.measured = 0
        self.finds_keys = True

    async def locate(self, file: SourceFile, need: Need) -> tuple[ByteSpan, ...] | None:
        raise NotImplementedError

    async def measure(self, path: Path) -> Times:
        self.measured += 1
        times = await asyncio.to_thread(measure, SourceFile(path))
        return times if self.finds_keys else replace(times, key=None)


@dataclass
class World:
    """A server with streams, a client and a cache."""

    server: FaultServer
    settings: Settings
    client: HttpClient
    cache: SourceCache
    prober: Prober
    scratch: Path
    identities: list[str | None] = field(default_factory=list)

    def put(self, stream: Stream, folder: str = "/s") -> None:
        for file in stream.folder.iterdir():
            self.server.put(f"{folder}/{file.name}", file.read_bytes())

    async def cut(
        self, playlist: bytes | str, start_ms: int, *, frames: int = SHOWN, extend: int = 0
    ) -> list[int]:
        """The numbers on the frames of a clip."""
        if isinstance(playlist, str):
            playlist = playlist.encode()
        need = Need(start_ms, frames, extend, RATE)
        out = self.scratch / "clip.mp4"
        async with obtain_hls(
            playlist,
            self.server.url("/s/index.m3u8?token=secret"),
            need,
            client=self.client,
            cache=self.cache,
            prober=self.prober,
            settings=self.settings,
        ) as file:
            self.identities.append(file.identity)
            order = CutOrder(file, start_ms, frames, extend, PROFILE)
            await asyncio.to_thread(cut_clip, order, out)
        return numbered_footage().read_clip(out)

    def asked(self) -> set[str]:
        """The names of the files that were asked for."""
        return {path.rpartition("/")[2] for path in self.server.requests}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    settings = Settings(_env_file=None, allow_cidrs=("127.0.0.0/8",), artifacts_dir=tmp_path)
    cache = SourceCache(settings.sources_dir, settings.source_cache_bytes)
    async with AsyncExitStack() as open_:
        server = await open_.enter_async_context(FaultServer())
        client = await open_.enter_async_context(HttpClient(settings))
        yield World(server, settings, client, cache, Prober(), tmp_path)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hls")


@pytest.fixture(scope="session")
def source(media: Path) -> Path:
    return film(media / "film.mp4")


@pytest.fixture(scope="session")
def ts(source: Path, media: Path) -> Stream:
    return segmented(source, media / "ts", "-start_number", "7")


@pytest.fixture(scope="session")
def fmp4(source: Path, media: Path) -> Stream:
    return segmented(source, media / "fmp4", "-hls_segment_type", "fmp4")


@pytest.fixture(scope="session")
def whole_cut(source: Path, media: Path) -> Callable[..., list[int]]:
    """What a cut of the film in one file shows."""

    @cache
    def cut(start_ms: int, frames: int = SHOWN) -> list[int]:
        out = media / "whole.mp4"
        cut_clip(CutOrder(SourceFile(source), start_ms, frames, 0, PROFILE), out)
        return numbered_footage().read_clip(out)

    return cut


def positions(stream: Stream) -> list[int]:
    """Starts of spans: first and last frames, within segments, at their borders and right beside them."""
    starts = [int(start * 1000) for start in stream.starts()]
    return sorted({0, starts[1] - 150, starts[1], starts[2] - 17, starts[4] + 1, starts[5] - 300, LAST_MS})
