"""Where a mix lives."""

from aiokafka.partitioner import murmur2

from topics.registry import MIX_REQUESTS

ORIGIN_HEADER = "clipfold-origin"
"""Where a request first stood, on its copy on the partition that its mix belongs to."""

_POSITIVE = 0x7FFFFFFF


def home_partition(mix_id: str) -> int:
    """The partition of `mix-requests` and of `mix-events` where all of a mix is told, in one order.

    The hash is that of Java's and aiokafka's producers; kcat's default is another one.
    """
    hashed: int = murmur2(mix_id.encode())
    return (hashed & _POSITIVE) % MIX_REQUESTS.partitions
