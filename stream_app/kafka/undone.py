"""Where the work of a group begins, asked by somebody who is not in it."""

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import GroupLoadInProgressError

from stream_app.kafka.clients import make_admin
from stream_app.settings import Settings


async def undone_from(
    settings: Settings, consumer: AIOKafkaConsumer, group_id: str, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """The first offset of each partition that the group has not dealt with.

    Raises:
        KafkaError: that cannot be told now, for one because a fresh Kafka still makes its list of groups.
    """
    beginnings = await consumer.beginning_offsets(partitions)
    admin = make_admin(settings)
    try:
        await admin.start()
        committed = await admin.list_consumer_group_offsets(group_id, partitions=list(partitions))
    finally:
        await admin.close()
    # The client passes over an error that is the whole group's: its answer is empty then.
    if missing := [partition for partition in partitions if partition not in committed]:
        raise GroupLoadInProgressError(f"Kafka does not tell where {group_id} stands in {missing[0]}")
    # -1 stands for none: then nothing has been dealt with.
    return {partition: max(beginnings[partition], committed[partition].offset) for partition in partitions}
