"""The projection against a real Kafka: it follows, survives, starts over, and equals a rebuild."""

import asyncio
import json
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pytest
from aiokafka import AIOKafkaConsumer

from projections.log_reader import LOG_TOPICS
from projections.publish import Publisher
from projections.rebuild import Difference, differences, rebuild
from projections.service import ProjectionService
from projections.store import Store
from stream_app.domain.errors import UsageError
from stream_app.kafka.clients import make_consumer, make_producer
from stream_app.kafka.record import Record
from stream_app.kafka.topology import create_topics
from stream_app.settings import Settings
from tests.unit.projections.histories import Log

TIMEOUT_S = 30

T = TypeVar("T")


@pytest.fixture
async def settings(kafka_bootstrap: str) -> Settings:
    made = Settings(kafka_bootstrap=kafka_bootstrap, kafka_replication_factor=1)
    await create_topics(made)
    return made


@pytest.fixture
def mix_id() -> str:
    """The log may hold other tests' mixes: each test has its own."""
    return f"mix-{uuid.uuid4()}"


@asynccontextmanager
async def running(
    settings: Settings, store: Store, target: Path, factory: Callable[[], AIOKafkaConsumer] | None = None
) -> AsyncIterator[ProjectionService]:
    """A projection that is stopped in good order at the end."""
    service = ProjectionService(
        factory or (lambda: make_consumer(settings)), store, Publisher(store, target, min_interval_s=0.05)
    )
    stop = asyncio.Event()
    task = asyncio.create_task(service.run(stop))
    try:
        yield service
    finally:
        stop.set()
        await asyncio.wait_for(task, TIMEOUT_S)


async def send(settings: Settings, records: list[Record]) -> None:
    async with make_producer(settings) as producer:
        for record in records:
            await producer.send_and_wait(record.ref.topic, record.value, record.key, headers=record.headers)


async def eventually(look: Callable[[], T]) -> T:
    """What `look` sees, as soon as it sees something."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            if seen := await asyncio.to_thread(look):
                return seen
            await asyncio.sleep(0.02)


async def shown(target: Path, sql: str, *parameters: object) -> list[Any]:
    """The rows of the first snapshot in which there are any."""

    def look() -> list[Any]:
        if not target.exists():
            return []
        with duckdb.connect(target, read_only=True) as con:
            return con.execute(sql, parameters).fetchall()

    return await eventually(look)


def differing(mix_id: str, one: Path, other: Path) -> list[Difference]:
    """What two files tell of a mix differently. Other tests may have sent mixes of theirs in between."""
    return [found for found in differences(one, other, limit=10_000) if mix_id in found.row]


def one_mix(mix_id: str) -> list[Record]:
    log = Log()
    mix = log.mix(mix_id)
    mix.accepted("a", "b")
    mix.completed("a", 0, 10)
    mix.placeholder("b", 20)
    mix.rendered(30)
    return log.records


RENDERED = """
SELECT metrics ->> '$.render.clip_stats.total_clips' FROM render_jobs WHERE id = ? AND status = 'rendered'
"""


async def test_a_mix_shows_in_the_snapshot_and_a_restart_counts_nothing_twice(
    settings: Settings, tmp_path: Path, mix_id: str
) -> None:
    target = tmp_path / "out" / "clipfold.duckdb"
    events = one_mix(mix_id)
    with Store(tmp_path / "private.duckdb") as store:
        async with running(settings, store, target) as service:
            await send(settings, events[:3])
            await shown(target, "FROM clips WHERE mix_id = ? AND outcome = 'placeholder'", mix_id)
            assert service.lag == 0
        await send(settings, events[3:])
        async with running(settings, store, target):
            assert await shown(target, RENDERED, mix_id) == [("2",)]
            assert await shown(target, "SELECT count(*) FROM events WHERE mix_id = ?", mix_id) == [(4,)]
            assert await shown(target, "SELECT sum(lag) FROM snapshot_info") == [(0,)]
    with Store(tmp_path / "again.duckdb") as again:
        assert await rebuild(lambda: make_consumer(settings), again) >= len(events)
    assert differing(mix_id, target, tmp_path / "again.duckdb") == []


async def test_what_was_folded_and_not_published_shows_when_it_is_stopped(
    settings: Settings, tmp_path: Path, mix_id: str
) -> None:
    target = tmp_path / "clipfold.duckdb"
    with Store(tmp_path / "private.duckdb") as store:
        service = ProjectionService(
            lambda: make_consumer(settings), store, Publisher(store, target, min_interval_s=3600)
        )
        stop = asyncio.Event()
        task = asyncio.create_task(service.run(stop))
        await shown(target, "FROM snapshot_info")
        before = sum(service.positions.values())
        events = one_mix(mix_id)
        await send(settings, events)
        await eventually(lambda: sum(service.positions.values()) == before + len(events))
        stop.set()
        await asyncio.wait_for(task, TIMEOUT_S)
    with duckdb.connect(target, read_only=True) as con:
        assert con.execute(RENDERED, [mix_id]).fetchall() == [("2",)]


@pytest.mark.parametrize("folded", [1, 1_000_000])
async def test_a_log_that_was_made_anew_is_folded_from_its_beginning(
    settings: Settings, tmp_path: Path, mix_id: str, folded: int
) -> None:
    await send(settings, one_mix(mix_id))
    with Store(tmp_path / "private.duckdb") as store:
        for partition in range(8):
            log = Log()
            log.append({"type": "of another log"}, partition=partition)
            store.fold(log.records)
        store.con.execute("UPDATE fold.positions SET next_offset = ?", [folded])
        async with running(settings, store, tmp_path / "out.duckdb"):
            assert await shown(tmp_path / "out.duckdb", RENDERED, mix_id) == [("2",)]
        strangers = store.con.execute("SELECT count(*) FROM events WHERE type = 'of another log'").fetchall()
        assert strangers == [(0,)]


async def test_it_waits_for_a_kafka_that_is_away(
    settings: Settings, tmp_path: Path, mix_id: str, unused_tcp_port: int
) -> None:
    away = Settings(kafka_bootstrap=f"127.0.0.1:{unused_tcp_port}")
    kafkas = iter([away])
    with Store(tmp_path / "private.duckdb") as store:
        factory = lambda: make_consumer(next(kafkas, settings))  # noqa: E731 - one line says it
        async with running(settings, store, tmp_path / "out.duckdb", factory):
            await send(settings, one_mix(mix_id))
            assert await shown(tmp_path / "out.duckdb", RENDERED, mix_id) == [("2",)]


async def test_a_broken_file_is_folded_anew_while_it_runs(
    settings: Settings, tmp_path: Path, mix_id: str
) -> None:
    target = tmp_path / "out.duckdb"
    with Store(tmp_path / "private.duckdb") as store:
        async with running(settings, store, target) as service:
            await shown(target, "FROM snapshot_info")
            await asyncio.to_thread(store.con.close)  # as after a fatal error of DuckDB
            await send(settings, one_mix(mix_id))
            assert await shown(target, RENDERED, mix_id) == [("2",)]
            assert service.lag == 0


async def test_a_folder_that_is_removed_comes_back_with_the_same_tables(
    settings: Settings, tmp_path: Path, mix_id: str
) -> None:
    folder = tmp_path / "artifacts"
    target = folder / "clipfold.duckdb"
    await send(settings, one_mix(mix_id))
    with Store(folder / "projection" / "private.duckdb") as store:
        async with running(settings, store, target):
            await shown(target, RENDERED, mix_id)
            await asyncio.to_thread(shutil.copy, target, tmp_path / "before.duckdb")
            target.unlink()
            await shown(target, RENDERED, mix_id)
            await asyncio.to_thread(shutil.rmtree, folder)
            await shown(target, RENDERED, mix_id)
            with pytest.raises(UsageError, match="another process folds into this file"):
                Store(store.path)
    assert differing(mix_id, tmp_path / "before.duckdb", target) == []


async def test_a_rebuild_stops_where_it_is_told(settings: Settings, tmp_path: Path, mix_id: str) -> None:
    await send(settings, one_mix(mix_id))
    with Store(tmp_path / "whole.duckdb") as whole:
        await rebuild(lambda: make_consumer(settings), whole)
        ((partition, first, logged_ms),) = whole.con.execute(
            "SELECT kafka_partition, min(kafka_offset), max(epoch_ms(logged_at)) FROM events "
            "WHERE mix_id = ? GROUP BY ALL",
            [mix_id],
        ).fetchall()
    with Store(tmp_path / "part.duckdb") as part:
        until = {("mix-events", partition): first + 2}
        await rebuild(lambda: make_consumer(settings), part, until=until)
        assert part.positions()["mix-events", partition] == first + 2
        assert part.con.execute("SELECT status FROM render_jobs WHERE id = ?", [mix_id]).fetchall() == [
            ("rendering",)
        ]
    with Store(tmp_path / "early.duckdb") as early:
        await rebuild(lambda: make_consumer(settings), early, before_ms=logged_ms)
        late = early.con.execute("SELECT count(*) FROM events WHERE epoch_ms(logged_at) >= ?", [logged_ms])
        assert late.fetchall() == [(0,)]


async def test_a_config_and_rubbish_are_folded_too(settings: Settings, tmp_path: Path) -> None:
    mark = str(uuid.uuid4())
    target = tmp_path / "out.duckdb"
    log = Log()
    log.config({"max_retry": 7}, actor=mark)
    log.append(json.dumps({"mark": mark}).encode() + b"}")
    with Store(tmp_path / "private.duckdb") as store:
        async with running(settings, store, target):
            await send(settings, log.records)
            history = await shown(
                target, "SELECT config ->> '$.max_retry' FROM config_history WHERE actor = ?", mark
            )
            assert history == [("7",)]
            sql = "SELECT problem FROM events WHERE contains(decode(raw), ?)"
            assert await shown(target, sql, mark) == [("not_json",)]
        assert {topic for topic, _ in store.positions()} <= set(LOG_TOPICS)


async def test_the_file_is_exchanged_for_a_new_one_while_the_snapshot_is_read(
    settings: Settings, tmp_path: Path, mix_id: str
) -> None:
    target = tmp_path / "out" / "clipfold.duckdb"
    events = one_mix(mix_id)
    seen: list[int] = []

    def read() -> bool:
        with duckdb.connect(target, read_only=True) as con:
            row = con.execute("SELECT count(*) FROM events").fetchone()
        seen.append(row[0] if row else 0)
        return exchanged.done()

    with Store(tmp_path / "private.duckdb") as store:
        async with running(settings, store, target):
            await send(settings, events[:3])
            await shown(target, "SELECT 1 FROM clips WHERE mix_id = ? AND outcome IS NOT NULL", mix_id)
        # What no log says: it is gone with the old file.
        store.con.execute("UPDATE clips SET worker = 'nobody'")
        before = store.path.stat().st_ino
        async with running(settings, store, target) as service:
            exchanged = asyncio.create_task(service.renew())
            await eventually(read)
            await send(settings, events[3:])
            await shown(target, RENDERED, mix_id)
    assert store.path.stat().st_ino != before
    assert seen == sorted(seen)
    assert await shown(target, "SELECT DISTINCT worker FROM clips WHERE mix_id = ?", mix_id) == [("w1",)]
    assert files_in(tmp_path) == {"out", "private.duckdb", "private.duckdb.lock"}


def files_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


async def test_a_new_file_that_cannot_be_made_leaves_the_old_one(
    settings: Settings, tmp_path: Path, mix_id: str
) -> None:
    target = tmp_path / "out" / "clipfold.duckdb"
    made = []

    def factory() -> AIOKafkaConsumer:
        made.append(1)
        # The first one is the service's own.
        port = settings if len(made) == 1 else Settings(kafka_bootstrap="127.0.0.1:9")
        return make_consumer(port)

    with Store(tmp_path / "private.duckdb") as store:
        async with running(settings, store, target, factory) as service:
            before = store.path.stat().st_ino
            await asyncio.wait_for(service.renew(), TIMEOUT_S)
            await send(settings, one_mix(mix_id))
            await shown(target, RENDERED, mix_id)
    assert store.path.stat().st_ino == before
    assert files_in(tmp_path) == {"out", "private.duckdb", "private.duckdb.lock"}
