"""How to write and read each topic with kcat."""

from collections.abc import Iterator

from topics.codec import MAX_RECORD_BYTES
from topics.config import CONFIG_KEY
from topics.registry import MAX_MESSAGE_BYTES, MIX_REQUESTS, RENDER_CONFIG, Topic

PRODUCE = f'kcat -P -b "$KAFKA" -X partitioner=murmur2_random -X message.max.bytes={MAX_MESSAGE_BYTES} -K: -t'
"""librdkafka's own partitioner and size limit differ from those of every other Kafka client."""

_TYPED = {
    MIX_REQUESTS.name: "(printf 'demo-1:'; cat topics/examples/mix-request.v1.json) |",
    RENDER_CONFIG.name: f"echo '{CONFIG_KEY}:{{\"max_parallelism\":8}}' |",
}


def introduction() -> Iterator[str]:
    """What the commands have in common."""
    yield "The commands below want the address of your Kafka: `export KAFKA=127.0.0.1:9092`"
    yield "(`clipfold kafka status` tells that of the embedded one). A value is one line of JSON of at most"
    yield f"{MAX_RECORD_BYTES} bytes; `partitioner=murmur2_random` makes kcat choose partitions as others do."


def commands(topic: Topic) -> Iterator[str]:
    """A block of commands for `topic`."""
    yield "```sh"
    if topic.name in _TYPED:
        yield f"{_TYPED[topic.name]} {PRODUCE} {topic.name}"
    yield f"kcat -C -b \"$KAFKA\" -t {topic.name} -o beginning -e -f '%T %p %o %k %h %s\\n'"
    yield "```"
    if topic.name not in _TYPED:
        yield from (
            "",
            "Written by clipfold only: a record typed by hand would be a fact that never happened.",
        )
