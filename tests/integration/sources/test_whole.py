"""Whole files and ranges of them from a server, by way of the cache."""

import asyncio
import hashlib
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fault_server import Fault, FaultServer
from prometheus_client import REGISTRY

from stream_app.domain.errors import SourceError
from stream_app.settings import Settings
from stream_app.sources.cache import SourceCache
from stream_app.sources.http import HttpClient
from stream_app.sources.source_file import ByteSpan
from stream_app.sources.whole import fetch_whole
from topics.reasons import FallbackReason

BODY = np.random.default_rng(1).bytes(3_000_000)
OTHER = np.random.default_rng(2).bytes(3_000_000)
NAMELESS = {"ETag": "", "Last-Modified": ""}


@dataclass(frozen=True)
class Got:
    content: bytes
    identity: str


class Fetching:
    def __init__(
        self, server: FaultServer, client: HttpClient, impatient: HttpClient, cache: SourceCache
    ) -> None:
        self.server, self.client, self.impatient, self.cache = server, client, impatient, cache

    async def get(
        self,
        path: str = "/a",
        *,
        span: ByteSpan | None = None,
        fresh_ms: int = 60_000,
        max_bytes: int = 1 << 30,
    ) -> Got:
        async with fetch_whole(
            self.client,
            self.cache,
            self.server.url(path),
            span=span,
            fresh_ms=fresh_ms,
            max_bytes=max_bytes,
        ) as file:
            return Got(file.path.read_bytes(), file.identity)


def settings_for(root: Path, **changes: object) -> Settings:
    return Settings(_env_file=None, artifacts_dir=root, allow_cidrs="127.0.0.0/8", **changes)


@pytest.fixture
async def fetching(tmp_path: Path) -> AsyncIterator[Fetching]:
    settings = settings_for(tmp_path)
    cache = SourceCache(settings.sources_dir, settings.source_cache_bytes)
    impatient = HttpClient(settings_for(tmp_path, fetch_answer_timeout_ms=200))
    async with FaultServer() as server, HttpClient(settings) as client, impatient:
        server.put("/a", BODY)
        yield Fetching(server, client, impatient, cache)


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("render_source_cache_total", {"result": result}) or 0


def bytes_read() -> float:
    return REGISTRY.get_sample_value("render_fetch_bytes_total") or 0


async def test_it_is_fetched_once_and_then_there(fetching: Fetching) -> None:
    before = counted("miss"), counted("hit")
    first, *rest = [await fetching.get() for _ in range(3)]
    assert first.content == BODY
    assert rest == [first, first]
    assert fetching.server.requests["/a"] == 1
    assert (counted("miss") - before[0], counted("hit") - before[1]) == (1, 2)


async def test_when_it_is_not_fresh_the_server_is_asked_for_changes(fetching: Fetching) -> None:
    before = counted("revalidated")
    first = await fetching.get()
    assert await fetching.get(fresh_ms=0) == first
    assert await fetching.get() == first, "asked a moment ago"
    assert fetching.server.requests["/a"] == 2
    assert fetching.server.sent["/a"] == len(BODY)
    assert counted("revalidated") - before == 1


async def test_the_body_is_not_read_again_when_a_server_knows_no_conditions(fetching: Fetching) -> None:
    fetching.server.faults["/a"] = Fault(ignore_conditions=True)
    first, read = await fetching.get(), bytes_read()
    assert await fetching.get(fresh_ms=0) == first
    assert fetching.server.requests["/a"] == 2
    assert bytes_read() == read


async def test_changed_content_has_another_identity_and_those_who_use_the_old_keep_it(
    fetching: Fetching,
) -> None:
    url = fetching.server.url("/a")
    async with fetch_whole(fetching.client, fetching.cache, url, fresh_ms=0) as old:
        fetching.server.put("/a", OTHER)
        new = await fetching.get(fresh_ms=0)
        assert new.content == OTHER
        assert new.identity != old.identity
        assert old.path.read_bytes() == BODY
    fetching.server.put("/a", BODY)
    assert await fetching.get(fresh_ms=0) == Got(BODY, old.identity)


@pytest.mark.parametrize("headers", [{}, NAMELESS, {"ETag": 'W/"1"', "Last-Modified": ""}])
async def test_the_identity_survives_the_cache(
    fetching: Fetching, tmp_path: Path, headers: dict[str, str]
) -> None:
    fetching.server.faults["/a"] = Fault(headers=headers)
    first = await fetching.get()
    fetching.cache = SourceCache(tmp_path / "another cache", 1 << 30)
    assert await fetching.get() == first
    assert fetching.server.requests["/a"] == 2


async def test_what_a_server_cannot_name_is_named_by_its_bytes(fetching: Fetching) -> None:
    fetching.server.faults["*"] = Fault(headers=NAMELESS)
    fetching.server.put("/copy", BODY)
    first = await fetching.get()
    assert first.identity == f"sha256-{hashlib.sha256(BODY).hexdigest()}"
    assert await fetching.get() == first, "still fresh"
    assert fetching.server.requests["/a"] == 1
    assert await fetching.get("/copy") == first
    fetching.server.put("/a", OTHER)
    assert (await fetching.get(fresh_ms=0)).content == OTHER


async def test_two_addresses_are_not_one_content_because_their_servers_use_one_name(
    fetching: Fetching,
) -> None:
    fetching.server.faults["*"] = Fault(headers={"ETag": '"1"'})
    fetching.server.put("/b", OTHER)
    a, b = await fetching.get("/a"), await fetching.get("/b")
    assert (a.content, b.content) == (BODY, OTHER)
    assert a.identity != b.identity


async def test_twenty_at_once_are_one_fetch(fetching: Fetching) -> None:
    seen = await asyncio.gather(*(fetching.get(fresh_ms=60_000) for _ in range(20)))
    assert {got.content for got in seen} == {BODY}
    assert fetching.server.requests["/a"] == 1


async def test_twenty_at_once_fail_together(fetching: Fetching) -> None:
    fetching.server.faults["/a"] = Fault(status=404)
    failures = await asyncio.gather(*(fetching.get() for _ in range(20)), return_exceptions=True)
    assert all(
        isinstance(error, SourceError) and error.reason is FallbackReason.CDN_ERROR for error in failures
    )
    assert fetching.server.requests["/a"] == 1


async def test_a_body_that_breaks_off_is_gone_on_with(fetching: Fetching) -> None:
    fetching.server.faults["/a"] = Fault(cut_after=2_000_000, times=1)
    assert (await fetching.get()).content == BODY
    assert fetching.server.requests["/a"] == 2
    assert fetching.server.log[1].headers["Range"].endswith(f"-{len(BODY) - 1}")
    assert fetching.server.sent["/a"] < len(BODY) + 500_000


async def test_a_body_that_breaks_off_again_and_again_is_an_error_and_the_next_try_goes_on(
    fetching: Fetching,
) -> None:
    fetching.server.faults["/a"] = Fault(cut_after=500_000, times=3)
    with pytest.raises(SourceError) as caught:
        await fetching.get()
    assert (caught.value.reason, caught.value.retryable) == (FallbackReason.CDN_ERROR, True)
    assert (await fetching.get()).content == BODY
    assert fetching.server.sent["/a"] < len(BODY) + 500_000


async def test_a_body_that_became_too_slow_is_gone_on_with_by_the_next_try(fetching: Fetching) -> None:
    fetching.server.faults["/a"] = Fault(hang_after=2_000_000, times=1)
    fetching.client = fetching.impatient
    with pytest.raises(SourceError, match="too slow") as caught:
        await fetching.get()
    assert (caught.value.reason, caught.value.retryable) == (FallbackReason.CDN_ERROR, True)
    assert fetching.server.requests["/a"] == 1
    assert (await fetching.get()).content == BODY
    assert fetching.server.sent["/a"] < len(BODY) + 500_000


async def test_what_breaks_off_and_cannot_be_named_is_an_error(fetching: Fetching) -> None:
    fetching.server.faults["/a"] = Fault(cut_after=500_000, times=1, headers=NAMELESS)
    with pytest.raises(SourceError) as caught:
        await fetching.get()
    assert (caught.value.reason, caught.value.retryable) == (FallbackReason.CDN_ERROR, True)
    assert (await fetching.get()).content == BODY


@pytest.mark.parametrize(
    "fault",
    [
        Fault(),
        Fault(ignore_range=True),
        Fault(headers=NAMELESS),
        Fault(headers=NAMELESS, ignore_range=True),
        Fault(chunked=True),
        Fault(chunked=True, headers=NAMELESS, ignore_range=True),
    ],
    ids=["ranges", "no ranges", "nameless", "nameless, no ranges", "chunked", "chunked, nameless, no ranges"],
)
async def test_a_range_is_a_file_of_its_own(fetching: Fetching, fault: Fault) -> None:
    fetching.server.faults["/a"] = fault
    first = await fetching.get(span=(100_000, 300_000))
    second = await fetching.get(span=(300_000, 300_001))
    assert first.content == BODY[100_000:300_000]
    assert second.content == BODY[300_000:300_001]
    assert first.identity != second.identity
    assert (await fetching.get()).content == BODY


async def test_a_range_ends_where_the_file_does(fetching: Fetching) -> None:
    assert (await fetching.get(span=(2_900_000, 4_000_000))).content == BODY[2_900_000:]


async def test_an_empty_file_is_a_file(fetching: Fetching) -> None:
    fetching.server.put("/a", b"")
    assert (await fetching.get()).content == b""


async def test_what_is_too_large_is_refused(fetching: Fetching) -> None:
    with pytest.raises(SourceError) as caught:
        await fetching.get(max_bytes=1_000_000)
    assert caught.value.reason is FallbackReason.SOURCE_INVALID


async def test_what_was_evicted_is_fetched_anew_without_a_condition(
    fetching: Fetching, tmp_path: Path
) -> None:
    first = await fetching.get()
    [data] = tmp_path.rglob("data")  # noqa: ASYNC240 - nothing else runs
    shutil.rmtree(data.parent)
    assert await fetching.get() == first
    assert "If-None-Match" not in fetching.server.log[1].headers


async def test_a_broken_note_is_as_none(fetching: Fetching, tmp_path: Path) -> None:
    await fetching.get()
    [note] = _notes(tmp_path)
    note.write_text('{"validator": ')
    assert (await fetching.get()).content == BODY


def _notes(root: Path) -> list[Path]:
    return list(root.rglob("known.json"))


CHILD = """
import asyncio, sys
from pathlib import Path
from stream_app.settings import Settings
from stream_app.sources.cache import SourceCache
from stream_app.sources.http import HttpClient
from stream_app.sources.whole import fetch_whole

async def main():
    settings = Settings(_env_file=None, artifacts_dir=sys.argv[1], allow_cidrs="127.0.0.0/8")
    cache = SourceCache(settings.sources_dir, settings.source_cache_bytes)
    async with HttpClient(settings) as client:
        async with fetch_whole(client, cache, sys.argv[2], fresh_ms=60_000) as file:
            sys.stdout.buffer.write(file.path.read_bytes())

asyncio.run(main())
"""


async def _start_child(fetching: Fetching, root: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(root), fetching.server.url("/a"), stdout=asyncio.subprocess.PIPE
    )


async def test_processes_share_a_fetch(fetching: Fetching, tmp_path: Path) -> None:
    fetching.server.faults["/a"] = Fault(delay_s=0.3)
    child = await _start_child(fetching, tmp_path)
    ours, theirs = await asyncio.wait_for(asyncio.gather(fetching.get(), child.communicate()), 60)
    assert ours.content == theirs[0] == BODY
    assert fetching.server.requests["/a"] == 1


async def test_a_process_that_is_killed_while_it_fetches_leaves_nothing_wrong(
    fetching: Fetching, tmp_path: Path
) -> None:
    fetching.server.faults["/a"] = Fault(hang_after=2_000_000, times=1)
    child = await _start_child(fetching, tmp_path)
    async with asyncio.timeout(60):
        while fetching.server.sent["/a"] < 2_000_000:  # noqa: ASYNC110 - another process is at it
            await asyncio.sleep(0.01)
    getting = asyncio.create_task(fetching.get())
    await asyncio.sleep(0)
    child.send_signal(signal.SIGKILL)
    await child.communicate()
    assert (await asyncio.wait_for(getting, 60)).content == BODY
