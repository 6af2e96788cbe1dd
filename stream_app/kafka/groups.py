"""Ask Kafka how its consumer groups stand: who is in them, and how far behind they are."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3

from topics.registry import Topic


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a group."""

    client_id: str
    host: str
    partitions: int


@dataclass(frozen=True, slots=True)
class GroupStanding:
    """A group on its topic; `lag` is how many records of it are not done yet."""

    group: str
    topic: str
    state: str
    members: tuple[Member, ...]
    lag: int


async def group_standings(
    admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, groups: Mapping[str, Topic]
) -> list[GroupStanding]:
    """How `groups`, each with its topic, stand now; `consumer` is asked where partitions end.

    Raises:
        KafkaError: Kafka does not tell.
    """
    _mend_describe()
    told = {}
    for response in await admin.describe_consumer_groups(list(groups)):
        for code, group, state, _, _, members, *_ in response.groups:
            if code:
                raise for_code(code)(f"Kafka does not describe the group {group}")
            told[group] = (str(state), tuple(_member(*member) for member in members))
    return [
        GroupStanding(group, topic.name, *told[group], await _lag(admin, consumer, group, topic))
        for group, topic in groups.items()
    ]


async def _lag(admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, group: str, topic: Topic) -> int:
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    committed = await admin.list_consumer_group_offsets(group, partitions=partitions)
    beginnings = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    # -1 stands for none: then nothing of the partition is done.
    return sum(
        ends[partition] - max(beginnings[partition], committed[partition].offset) for partition in partitions
    )


def _mend_describe() -> None:
    """Have aiokafka read an answer of version 3 as what it is: 0.14 takes it for one of version 2."""
    DescribeGroupsRequest_v3.RESPONSE_TYPE = DescribeGroupsResponse_v3


def _member(_: str, client_id: str, host: str, __: bytes, assignment: bytes) -> Member:
    # A member that is just joining has none.
    owned = ConsumerProtocolMemberAssignment.decode(assignment).partitions() if assignment else []
    return Member(client_id, host.removeprefix("/"), len(owned))
