"""The cache of sources: made once, bounded, and safe for several processes."""

import asyncio
import errno
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stream_app.domain.errors import OwnFaultError, SourceError
from stream_app.sources.cache import SourceCache
from topics.reasons import FallbackReason

KIB = 1024
MUCH = 1 << 30


class Maker:
    """Makes files of a size and counts how often."""

    def __init__(self, size: int = 64 * KIB) -> None:
        self.size, self.made = size, 0
        self.started, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.may_go_on.set()

    async def __call__(self, draft: Path) -> None:
        self.made += 1
        _write(draft, b"half")
        self.started.set()
        await self.may_go_on.wait()
        _write(draft, bytes([self.made]) * self.size)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def is_kept(cache: SourceCache, name: str) -> bool:
    async with cache.entry(name) as entry:
        return entry.data.exists()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "sources"


def files(root: Path, name: str = "*") -> list[Path]:
    return [path for path in root.rglob(name) if path.is_file()]


async def test_a_file_is_made_once_however_many_ask(root: Path) -> None:
    maker = Maker()
    # Two caches on one folder lock each other out as two processes do.
    caches = [SourceCache(root, MUCH), SourceCache(root, MUCH)]

    async def use(cache: SourceCache) -> bytes:
        async with cache.kept("a", maker) as path:
            return path.read_bytes()

    seen = await asyncio.gather(*(use(caches[number % 2]) for number in range(20)))
    assert maker.made == 1
    assert set(seen) == {b"\x01" * maker.size}


async def test_nobody_sees_a_file_before_it_is_whole(root: Path) -> None:
    cache, maker = SourceCache(root, MUCH), Maker()
    maker.may_go_on.clear()
    making = asyncio.create_task(_use(cache, "a", maker))
    await maker.started.wait()
    assert not files(root, "data")
    maker.may_go_on.set()
    await making
    assert len(files(root, "data")) == 1


async def _use(cache: SourceCache, name: str, maker: Maker) -> bytes:
    async with cache.kept(name, maker) as path:
        return path.read_bytes()


async def test_those_who_wait_share_a_failure_and_later_ones_do_not(root: Path) -> None:
    cache, started, go_on, tries = SourceCache(root, MUCH), asyncio.Event(), asyncio.Event(), 0
    error = SourceError(FallbackReason.CDN_ERROR, "503", stage="fetch", retryable=True, retry_after_ms=7000)

    async def fail(_: Path) -> None:
        nonlocal tries
        tries += 1
        started.set()
        await go_on.wait()
        raise error

    async def use() -> None:
        async with cache.kept("a", fail):
            pytest.fail("it was not made")

    users = [asyncio.create_task(use()) for _ in range(5)]
    await started.wait()
    await asyncio.sleep(0)
    go_on.set()
    failures = await asyncio.gather(*users, return_exceptions=True)
    assert tries == 1
    for failure in failures:
        assert isinstance(failure, SourceError)
        assert (failure.reason, str(failure), failure.stage) == (error.reason, "503", "fetch")
        assert (failure.retryable, failure.retry_after_ms) == (True, 7000)
    assert len({id(failure) for failure in failures}) == 5
    with pytest.raises(SourceError):
        await use()
    assert tries == 2
    assert not files(root), "a failure leaves nothing behind"


async def test_when_the_one_who_makes_it_is_cancelled_the_next_one_does(root: Path) -> None:
    cache, maker = SourceCache(root, MUCH), Maker()
    maker.may_go_on.clear()
    first = asyncio.create_task(_use(cache, "a", maker))
    await maker.started.wait()
    second = asyncio.create_task(_use(cache, "a", maker))
    await asyncio.sleep(0)
    first.cancel()
    maker.may_go_on.set()
    assert (await second)[:1] == b"\x02"
    assert first.cancelled()


async def test_the_least_recently_used_go_first_and_none_in_use(root: Path) -> None:
    cache = SourceCache(root, 300 * KIB)  # four files, with what file systems add
    async with _kept_open(cache, "used"):
        for name in ("old", "middle"):
            await _use(cache, name, Maker())
        await _use(cache, "old", Maker())
        for name in ("new 1", "new 2"):
            await _use(cache, name, Maker())
        assert await is_kept(cache, "used")
        assert await is_kept(cache, "old"), "it was used again after `middle`"
        assert not await is_kept(cache, "middle")
        assert await is_kept(cache, "new 2")


@asynccontextmanager
async def _kept_open(cache: SourceCache, name: str) -> AsyncIterator[Path]:
    async with cache.kept(name, Maker()) as path:
        yield path


async def test_a_limit_of_nothing_keeps_what_is_in_use_only(root: Path) -> None:
    cache = SourceCache(root, 0)
    async with _kept_open(cache, "a") as a, _kept_open(cache, "b") as b:
        assert a.exists()
        assert b.exists()
    assert not files(root, "data")


async def test_what_another_process_uses_is_not_evicted(root: Path) -> None:
    ours, theirs = SourceCache(root, MUCH), SourceCache(root, 0)
    async with _kept_open(ours, "a") as path:
        await _use(theirs, "b", Maker())
        assert path.exists()
    await _use(theirs, "b", Maker())
    assert not path.exists()


async def test_holes_take_no_room(root: Path) -> None:
    cache = SourceCache(root, 400 * KIB)

    async def sparse(draft: Path) -> None:
        with draft.open("wb") as file:
            file.truncate(100 * KIB * KIB)

    async with cache.kept("sparse", sparse):
        pass
    await _use(cache, "other", Maker())
    assert await is_kept(cache, "sparse")


async def test_room_is_made_on_a_full_disk(root: Path) -> None:
    cache = SourceCache(root, MUCH)
    await _use(cache, "idle", Maker())
    async with _kept_open(cache, "used"):

        def write() -> str:
            if len(files(root, "data")) > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return "written"

        assert await cache.on_disk(write) == "written"
        assert not await is_kept(cache, "idle")
        assert await is_kept(cache, "used")


async def test_a_disk_that_stays_full_is_our_own_fault(root: Path) -> None:
    cache = SourceCache(root, MUCH)

    def write() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def make(_: Path) -> None:
        write()

    with pytest.raises(OwnFaultError, match="No space left on device; check the artifacts disk"):
        await cache.on_disk(write)
    with pytest.raises(OwnFaultError, match="No space"):
        async with cache.kept("a", make):
            pytest.fail("it was not made")


async def test_another_process_that_does_not_end_is_given_up(root: Path) -> None:
    cache, other, maker = SourceCache(root, MUCH, wait_s=0), SourceCache(root, MUCH), Maker()
    maker.may_go_on.clear()
    making = asyncio.create_task(_use(other, "a", maker))
    await maker.started.wait()
    with pytest.raises(OwnFaultError, match="another process"):
        await _use(cache, "a", maker)
    maker.may_go_on.set()
    await making


async def test_what_an_earlier_boot_left_is_not_believed_and_nothing_else_is_touched(root: Path) -> None:
    earlier = root / "boot-0b9b1e04-0000-4000-8000-000000000000"
    (earlier / "entries" / "ab").mkdir(parents=True)
    (earlier / "entries" / "ab" / "data").write_bytes(b"zeros")
    (root / "my films").mkdir()
    SourceCache(root, MUCH)
    assert not earlier.exists()
    assert (root / "my films").exists()


async def test_the_whole_cache_may_be_removed_while_it_is_in_use(root: Path) -> None:
    cache, maker = SourceCache(root, 0), Maker()
    async with cache.kept("a", maker):
        shutil.rmtree(root)
        await _use(cache, "b", maker)
    await _use(cache, "a", maker)
    assert maker.made == 3


HOLDER = """
import asyncio, sys
from pathlib import Path
from stream_app.sources.cache import SourceCache

async def main():
    async def make(draft):
        draft.write_bytes(b"half of it")
        print("making", flush=True)
        await asyncio.sleep(600)
    async with SourceCache(Path(sys.argv[1]), 1 << 30).kept("a", make):
        pass

asyncio.run(main())
"""


async def test_a_killed_process_leaves_nothing_that_is_believed_and_holds_nobody_up(root: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(root), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), 60) == b"making\n"
    cache, maker = SourceCache(root, MUCH), Maker()
    using = asyncio.create_task(_use(cache, "a", maker))
    await asyncio.sleep(0)
    assert maker.made == 0, "the other process is at it"
    os.kill(child.pid, signal.SIGKILL)
    assert await asyncio.wait_for(using, 60) == b"\x01" * maker.size
    await child.wait()
    assert len(files(root, "draft-*")) == 1
    # Its draft goes with the next look at the whole of the cache.
    await _use(SourceCache(root, MUCH), "b", Maker())
    assert not files(root, "draft-*")
