"""Questions to the snapshot from within the process see each new one, and get over a bad one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from projections import reader as reader_module
from projections.publish import Publisher
from projections.reader import SnapshotError, SnapshotReader
from projections.store import Store
from tests.unit.projections.histories import Log

COUNT = "SELECT count(*) AS mixes FROM render_jobs WHERE id <> $but"


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[SnapshotReader]:
    async with aclosing(SnapshotReader(tmp_path / "snapshot.duckdb")) as opened:
        yield opened


@pytest.fixture
def publisher(store: Store, tmp_path: Path) -> Publisher:
    return Publisher(store, tmp_path / "snapshot.duckdb", min_interval_s=0)


async def test_each_question_sees_the_newest_snapshot(
    store: Store, publisher: Publisher, reader: SnapshotReader
) -> None:
    log = Log()
    for number in range(1, 6):
        log.mix(f"m{number}").accepted("a")
        store.fold(log.records[-1:])
        publisher.publish()
        answers = await asyncio.gather(*(reader.rows(COUNT, {"but": "m0"}) for _ in range(5)))
        assert answers == [[{"mixes": number}]] * 5


async def test_it_says_that_there_is_none_and_finds_the_one_that_comes(
    publisher: Publisher, reader: SnapshotReader
) -> None:
    with pytest.raises(SnapshotError, match=r"snapshot\.duckdb"):
        await reader.rows(COUNT, {"but": ""})
    publisher.publish()
    assert await reader.rows(COUNT, {"but": ""}) == [{"mixes": 0}]
    publisher.target.unlink()
    publisher.target.write_bytes(b"no database" * 10_000)
    with pytest.raises(SnapshotError):
        await reader.rows(COUNT, {"but": ""})
    publisher.publish()
    assert await reader.rows(COUNT, {"but": ""}) == [{"mixes": 0}]


async def test_a_question_that_takes_too_long_is_ended_and_others_go_on(
    publisher: Publisher, reader: SnapshotReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish()
    await reader.rows(COUNT, {"but": ""})
    monkeypatch.setattr(reader_module, "TIMEOUT_S", 0.2)
    with pytest.raises(SnapshotError, match="did not answer"):
        await reader.rows(
            "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range < b.range + $n", {"n": 1}
        )
    monkeypatch.setattr(reader_module, "TIMEOUT_S", 30)
    assert await reader.rows(COUNT, {"but": ""}) == [{"mixes": 0}]
