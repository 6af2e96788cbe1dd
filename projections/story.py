"""What has been folded of one mix, the records that are not rolled up yet included."""

from collections.abc import Mapping
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from stream_app.domain.mix import Mix
from topics.codec import Poison, Tombstone, read_event
from topics.events import MixRejected

_TURNING_POINTS = """
SELECT value FROM (
    SELECT kafka_partition, kafka_offset, value::VARCHAR AS value FROM events
    WHERE topic = 'mix-events' AND mix_id = $mix_id AND type LIKE 'mix-%' AND problem IS NULL
    UNION ALL
    SELECT kafka_partition, kafka_offset, value FROM fold.incoming
    WHERE topic = 'mix-events' AND record_key = $mix_id AND NOT newer_version
        AND TRY_CAST(value AS JSON) ->> '$.type' LIKE 'mix-%'
) ORDER BY kafka_partition, kafka_offset
"""


@dataclass(frozen=True, slots=True)
class Story:
    """A mix as its own events tell it: its newest plan and its end, but none of its clips.

    Attributes:
        mix: without a plan when it was never accepted.
        rejected: its rejections, oldest first, by where the request stands, topic/partition/offset.
    """

    mix: Mix
    rejected: Mapping[str, MixRejected]


def turning_points(con: DuckDBPyConnection, mix_id: str) -> Story:
    """What the private file tells of a mix.

    Raises:
        duckdb.Error: the file cannot be read now.
    """
    mix = Mix()
    rejected: dict[str, MixRejected] = {}
    for (value,) in con.execute(_TURNING_POINTS, {"mix_id": mix_id}).fetchall():
        event = read_event(value.encode())
        if isinstance(event, MixRejected):
            rejected.setdefault(event.caused_by, event)
        elif not isinstance(event, Poison | Tombstone):
            mix.apply(event)
    return Story(mix, rejected)
