"""Where a group's work begins, asked of a Kafka that has only just begun to know of groups."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from stream_app.kafka.clients import make_consumer
from stream_app.kafka.topology import create_topics
from stream_app.kafka.undone import undone_from
from stream_app.settings import Settings
from tests.broker_fixture import own_kafka
from topics.registry import MIX_REQUESTS

TIMEOUT_S = 60
ASKED_AT_ONCE = 8


async def test_a_fresh_kafka_tells_it_or_fails_as_kafka_does(tmp_path: Path) -> None:
    with own_kafka(tmp_path) as bootstrap:
        settings = Settings(kafka_bootstrap=bootstrap)
        await create_topics(settings)
        partitions = [TopicPartition(MIX_REQUESTS.name, number) for number in range(MIX_REQUESTS.partitions)]

        async def ask_until_told() -> dict[TopicPartition, int]:
            consumer = make_consumer(settings)
            await consumer.start()
            try:
                deadline = time.monotonic() + TIMEOUT_S
                while time.monotonic() < deadline:
                    # The list of groups is made when it is asked for the first time: till then, it fails.
                    with suppress(KafkaError):
                        return await undone_from(settings, consumer, "nobody", partitions)
            finally:
                await consumer.stop()
            raise AssertionError(f"not told within {TIMEOUT_S} s")

        answers = await asyncio.gather(*(ask_until_told() for _ in range(ASKED_AT_ONCE)))
    assert answers == [dict.fromkeys(partitions, 0)] * ASKED_AT_ONCE
