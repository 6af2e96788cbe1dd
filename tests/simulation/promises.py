"""What must hold of the log when all is quiet: I1 to I4 of the design, by the words of the contract."""

import json

from stream_app.domain.mix import Mix
from tests.recomputed import Record, told_by_events
from tests.simulation.kafka import Entry, Kafka, places
from tests.simulation.roles import TOPIC_OF
from topics.events import MixAccepted, MixRejected
from topics.ids import RecordRef


def broken_promises(kafka: Kafka) -> list[str]:
    """Each broken promise in a sentence; none when all hold."""
    mixes: dict[str, list[Entry]] = {}
    for entry in kafka.topic("mix-events"):
        mixes.setdefault(entry.key, []).append(entry)
    return [
        *_unanswered(kafka, mixes),
        *(said for mix_id, entries in mixes.items() for said in _of_mix(mix_id, entries)),
        *_without_cause(kafka),
        *_uncommitted(kafka),
    ]


def _unanswered(kafka: Kafka, mixes: dict[str, list[Entry]]) -> list[str]:
    """I1, of mixes that nobody has ever decided on."""
    return [
        f"I1: {entry.ref} ({entry.value.get('type', 'mix-request')} of {entry.key}) has led to nothing"
        for entry in kafka.topic("mix-requests")
        if entry.key not in mixes
    ]


def _of_mix(mix_id: str, entries: list[Entry]) -> list[str]:
    """I1, I2 and I4 of one mix that is in the log."""
    plans = [entry for entry in entries if isinstance(entry.value, MixAccepted)]
    if not plans:
        is_rejected = any(isinstance(entry.value, MixRejected) for entry in entries)
        return [] if is_rejected else [f"I3: {mix_id} has events and was never accepted"]
    records = [_as_json(entry) for entry in entries]
    told = told_by_events(records)[mix_id]
    mix = Mix()
    for entry in entries:
        mix.apply(entry.value)
    said = []
    if told["status"] == "rendering":
        said.append(f"I1: {mix_id} has no end")
    elif told["status"] == "rendered" and told["total_clips"] != len(
        mix.accepted.lines if mix.accepted else ()
    ):
        said.append(f"I2: {mix_id} is rendered with {told['total_clips']} outcomes")
    figures = mix.stats().model_dump(mode="json")
    said += [
        f"I4: {name} of {mix_id} is {figures[name]}, the events say {wanted}"
        for name, wanted in told.items()
        if name != "status" and figures[name] != wanted
    ]
    return said


def _as_json(entry: Entry) -> Record:
    raw = entry.value.model_dump_json().encode()
    ref = entry.ref
    return Record(ref.topic, ref.partition, ref.offset, 0, entry.key.encode(), raw, json.loads(raw))


def _without_cause(kafka: Kafka) -> list[str]:
    """I3: the cause of each event is in Kafka."""
    said = []
    for entry in kafka.topic("mix-events"):
        cause = RecordRef.parse(entry.value.caused_by)
        if cause.offset >= kafka.end((cause.topic, cause.partition)):
            said.append(f"I3: {entry.ref} names {cause}, which is not there")
    return said


def _uncommitted(kafka: Kafka) -> list[str]:
    """Nothing is held for ever: a restart would read it again each time."""
    return [
        f"{role} stands at {kafka.position(role, place)} of {place}, which ends at {kafka.end(place)}"
        for role, topic in TOPIC_OF.items()
        for place in places(topic)
        if kafka.position(role, place) < kafka.end(place)
    ]
