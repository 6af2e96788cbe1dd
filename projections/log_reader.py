"""Put a consumer of no group at given positions of the log's partitions."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from projections.fold import LogReplacedError, Place
from stream_app.domain.errors import OwnFaultError
from topics.registry import MIX_EVENTS, RENDER_CONFIG

LOG_TOPICS = (MIX_EVENTS.name, RENDER_CONFIG.name)
"""What the projection folds."""

MakeConsumer = Callable[[], AIOKafkaConsumer]
"""Makes a consumer that is not started, of no group, with `auto_offset_reset="earliest"`."""


async def attach(
    consumer: AIOKafkaConsumer, positions: Mapping[Place, int], topics: Iterable[str] = LOG_TOPICS
) -> dict[Place, int]:
    """Assign every partition of `topics` and seek to where the fold stands.

    It goes one record back where it can, so that the fold sees whether the log is still the same one.

    Returns:
        The end of each partition.

    Raises:
        OwnFaultError: a topic is not there.
        LogReplacedError: a partition ends before the position: it was made anew.
        KafkaError: Kafka does not answer.
    """
    existing = await consumer.topics()
    if missing := sorted(set(topics) - existing):
        raise OwnFaultError(f"Kafka has no topic {', '.join(missing)}: type `clipfold topics create`")
    partitions = [
        TopicPartition(topic, partition)
        for topic in topics
        for partition in sorted(consumer.partitions_for_topic(topic) or ())
    ]
    consumer.assign(partitions)
    beginnings, ends = await asyncio.gather(
        consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    )
    for partition in partitions:
        position = positions.get((partition.topic, partition.partition), 0)
        if position > ends[partition]:
            raise LogReplacedError(
                f"{partition.topic}/{partition.partition} ends at {ends[partition]}, "
                f"but {position} of it was folded: the topic was made anew, or this is another Kafka"
            )
        # Said aloud: after `assign`, a consumer left to itself may read nothing at all.
        consumer.seek(partition, max(position - 1, beginnings[partition]))
    return {(partition.topic, partition.partition): ends[partition] for partition in partitions}
