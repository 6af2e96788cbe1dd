"""Put a consumer of no group at given positions of the log's partitions."""

from collections.abc import Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from projections.fold import LogReplacedError, Place
from stream_app.domain.errors import OwnFaultError
from topics.registry import MIX_EVENTS, RENDER_CONFIG

LOG_TOPICS = (MIX_EVENTS.name, RENDER_CONFIG.name)
"""What the projection folds."""

MakeConsumer = Callable[[], AIOKafkaConsumer]
"""Makes a consumer that is not started, of no group, with `auto_offset_reset="earliest"`."""


async def attach(
    consumer: AIOKafkaConsumer, positions: Mapping[Place, int], topics: Sequence[str] = LOG_TOPICS
) -> dict[Place, int]:
    """Start the consumer, assign it every partition of `topics`, and seek to where the fold stands.

    It goes one record back where it can, so that the fold sees whether the log is still the same one.

    Returns:
        The end of each partition.

    Raises:
        OwnFaultError: a topic is not there.
        LogReplacedError: a partition ends before the position: it was made anew.
        KafkaError: Kafka does not answer.
    """
    partitions = await _start_on_all_partitions(consumer, topics)
    beginnings = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
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


async def _start_on_all_partitions(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    """Subscribing is how a consumer learns which partitions there are; assigning is what keeps them."""
    consumer.subscribe(topics)
    try:
        await consumer.start()
    except UnknownTopicOrPartitionError as error:
        raise OwnFaultError(
            f"Kafka lacks one of the topics {', '.join(topics)}: type `clipfold topics create`"
        ) from error
    partitions = sorted(consumer.assignment())
    consumer.unsubscribe()
    consumer.assign(partitions)
    return partitions
