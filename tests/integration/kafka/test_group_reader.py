"""The commit protocol against a real broker: nothing unfinished is ever committed past."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from stream_app.kafka.clients import make_admin, make_consumer, make_producer
from stream_app.kafka.group_reader import Delivery, GroupReader
from stream_app.settings import Settings
from topics.registry import Topic

RECORDS = 20


class Held:
    """Work that is finished when the test says so."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.revoked: list[frozenset[TopicPartition]] = []

    def deliver(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    async def revoke(self, partitions: frozenset[TopicPartition]) -> None:
        self.revoked.append(partitions)

    @property
    def offsets(self) -> list[int]:
        return [delivery.record.ref.offset for delivery in self.deliveries]


@pytest.fixture
def settings(kafka_bootstrap: str) -> Settings:
    return Settings(kafka_bootstrap=kafka_bootstrap, kafka_session_timeout_ms=6000, drain_timeout_ms=1000)


@pytest.fixture
async def topic(settings: Settings) -> Topic:
    """A topic of one partition with some records."""
    name = f"reader-{uuid4().hex[:8]}"
    admin = make_admin(settings)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1)])
    await admin.close()
    async with make_producer(settings) as producer:
        for number in range(RECORDS):
            await producer.send_and_wait(name, str(number).encode())
    return Topic(name, "-", "-", 1, "delete", (), (), ())


@asynccontextmanager
async def reading(
    settings: Settings, topic: Topic, work: Held, window: int | None = None
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(GroupReader(settings, topic, topic.name, work, window=window).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)


async def committed(settings: Settings, topic: Topic) -> int | None:
    consumer = make_consumer(settings, group_id=topic.name)
    await consumer.start()
    try:
        offset: int | None = await consumer.committed(TopicPartition(topic.name, 0))
        return offset
    finally:
        await consumer.stop()


async def test_an_unfinished_head_holds_the_commit_and_is_delivered_again(
    settings: Settings, topic: Topic
) -> None:
    work = Held()
    async with reading(settings, topic, work):
        await eventually(lambda: len(work.deliveries) == RECORDS)
        for delivery in work.deliveries:
            if delivery.record.ref.offset != 7:
                delivery.finish()
    assert await committed(settings, topic) == 7
    assert work.revoked == [frozenset({TopicPartition(topic.name, 0)})]
    again = Held()
    async with reading(settings, topic, again):
        await eventually(lambda: len(again.deliveries) == RECORDS - 7)
        assert again.offsets == list(range(7, RECORDS))
        for delivery in again.deliveries:
            delivery.finish()
    assert await committed(settings, topic) == RECORDS


async def test_a_full_window_pauses_the_partition_and_room_resumes_it(
    settings: Settings, topic: Topic
) -> None:
    slow = settings.model_copy(update={"kafka_request_timeout_ms": 10_000})
    work = Held()
    async with make_producer(slow) as producer, reading(slow, topic, work, window=4):
        await eventually(lambda: len(work.deliveries) >= 4)
        first = len(work.deliveries)
        # Paused: what comes now is not delivered, though polls go on.
        for _ in range(5):
            await producer.send_and_wait(topic.name, b"more")
        await asyncio.sleep(1)
        assert len(work.deliveries) == first
        for delivery in tuple(work.deliveries):
            delivery.finish()
        await eventually(lambda: len(work.deliveries) == RECORDS + 5)
        assert work.offsets == list(range(RECORDS + 5))


async def test_a_finish_after_a_revocation_changes_nothing(settings: Settings, topic: Topic) -> None:
    work = Held()
    async with reading(settings, topic, work):
        await eventually(lambda: len(work.deliveries) == RECORDS)
    for delivery in work.deliveries:
        delivery.finish()
    assert await committed(settings, topic) is None
