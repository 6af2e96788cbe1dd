"""Random histories: the SQL says what the program's own fold says, however the records arrive."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.rebuild import digest
from projections.store import Store
from stream_app.domain.mix import Mix
from stream_app.kafka.record import Record
from tests.unit.projections.histories import Log
from tests.unit.projections.reading import rows, stats
from topics.codec import Poison, Tombstone, read_event
from topics.events import MixRejected

FEW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MIXES = ("m0", "m1", "m2")
TASKS = ("a", "b", "c")

moments = st.integers(0, 12)
tasks = st.sampled_from(TASKS)
attempts = st.fixed_dictionaries(
    {
        "candidate_index": st.integers(0, 1),
        "attempt": st.integers(1, 2),
        "config_version": st.integers(-1, 2),
        "worker": st.sampled_from(("w1", "w2")),
    }
)
videos = st.sampled_from(("v1", "v2", 'v"3'))
happenings = st.tuples(
    st.sampled_from(MIXES),
    st.one_of(
        st.tuples(st.just("accepted"), st.permutations(TASKS), st.integers(1, 3), st.integers(1, 3), moments),
        st.tuples(st.just("failed"), tasks, moments, moments, videos, attempts),
        st.tuples(st.just("completed"), tasks, moments, moments, videos, attempts),
        st.tuples(st.just("placeholder"), tasks, moments, st.sampled_from(("cdn_error", "no_candidates"))),
        st.tuples(st.just("rendered"), moments, st.integers(1, 3)),
        st.tuples(
            st.just("ended"),
            st.sampled_from(("mix-failed", "mix-cancelled")),
            moments,
            st.sampled_from((None, 1, 2, 3)),
        ),
        st.tuples(st.just("rejected"), moments),
        st.tuples(st.just("again"), st.integers(0, 50)),
    ),
)
histories = st.lists(happenings, max_size=40)


@contextmanager
def fresh_store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "private.duckdb") as store:
        yield store


def logged(history: Sequence[Any]) -> list[Record]:
    """The history as records: each mix on a partition of its own."""
    log = Log()
    for mix_id, (kind, *details) in history:
        partition = MIXES.index(mix_id)
        mix = log.mix(mix_id, partition)
        match kind, details:
            case "accepted", [order, count, revision, at_ms]:
                mix.accepted(*order[:count], revision=revision, at_ms=at_ms)
            case "failed" | "completed", [task, start, end, video, more]:
                getattr(mix, kind)(task, start, end, video=video, **more)
            case "placeholder", [task, at_ms, reason]:
                mix.placeholder(task, at_ms, reason)
            case "rendered", [at_ms, revision]:
                mix.rendered(at_ms, revision)
            case "ended", [type_, at_ms, revision]:
                mix.ended(type_, at_ms, revision=revision)
            case "rejected", [at_ms]:
                mix.rejected(at_ms)
            case "again", [index]:
                own = [record for record in log.records if record.ref.partition == partition]
                if own:
                    log.append(own[index % len(own)].value, partition=partition, key=mix_id.encode())
    return log.records


@FEW
@given(histories, st.integers(0, 40))
def test_the_sql_says_what_the_domain_says(history: Sequence[Any], cut: int) -> None:
    records = logged(history)
    with fresh_store() as store:
        for batch in (records[:cut], records[cut:]):
            store.fold(batch)
            store.roll_up()
        jobs = {job["id"]: job for job in rows(store, "FROM render_jobs")}
        expected = {mix_id: told for mix_id in MIXES if (told := _told(mix_id, records))}
        assert jobs.keys() == expected.keys()
        for mix_id, (status, mix) in expected.items():
            assert jobs[mix_id]["status"] == status
            assert stats(store, mix_id) == mix.stats().model_dump(mode="json")
            outcomes = rows(
                store,
                "SELECT clip_task_id, uri FROM clips WHERE outcome IS NOT NULL AND mix_id = ? "
                "ORDER BY clip_index",
                mix_id,
            )
            assert [(line["clip_task_id"], line["uri"]) for line in outcomes] == [
                (outcome.clip_task_id, outcome.uri) for outcome in mix.effective_outcomes
            ]


def _told(mix_id: str, records: Sequence[Record]) -> tuple[str, Mix] | None:
    """What the domain makes of a mix: its status and its fold; `None` when it has no row."""
    mix = Mix()
    rejected = False
    for record in records:
        event = read_event(record.value)
        assert not isinstance(event, Poison | Tombstone), event
        if event.mix_id == mix_id:
            mix.apply(event)
            rejected = rejected or isinstance(event, MixRejected)
    if mix.accepted is None:
        return ("rejected", mix) if rejected else None
    return (mix.end.type.removeprefix("mix-") if mix.end else "rendering"), mix


@FEW
@given(histories, st.data())
def test_neither_arrival_nor_redelivery_nor_batches_change_the_tables(
    history: Sequence[Any], data: st.DataObject
) -> None:
    records = logged(history)
    with fresh_store() as straight, fresh_store() as shaken:
        straight.fold(records)
        straight.roll_up()
        for batch in data.draw(deliveries(records)):
            shaken.fold(batch)
            if data.draw(st.booleans()):
                shaken.roll_up()
        shaken.roll_up()
        assert digest(shaken.con) == digest(straight.con)
        assert shaken.positions() == straight.positions()


@st.composite
def deliveries(draw: st.DrawFn, records: Sequence[Record]) -> list[list[Record]]:
    """Batches that deliver every record: partitions interleaved at will, and some delivered again."""
    queues = [[r for r in records if r.ref.partition == partition] for partition in range(len(MIXES))]
    done = [0] * len(queues)
    batches: list[list[Record]] = []
    while any(done[i] < len(queue) for i, queue in enumerate(queues)):
        batch: list[Record] = []
        for i in draw(st.permutations(range(len(queues)))):
            start = max(0, done[i] - draw(st.integers(0, 3)))
            done[i] = min(len(queues[i]), done[i] + draw(st.integers(0, 8)))
            batch += queues[i][start : done[i]]
        batches.append(batch)
    return batches


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
        st.sampled_from(("1", "-1", "1e5", "9" * 30, "\x00", "mix-accepted", "2024-01-01")),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(happenings, min_size=10, max_size=40), st.data())
def test_no_value_of_any_field_breaks_the_roll_up(history: Sequence[Any], data: st.DataObject) -> None:
    log = Log()
    for record in logged(history):
        value = json.loads(record.value or b"{}")
        for name in data.draw(st.lists(st.sampled_from(sorted(value)), max_size=3, unique=True)):
            value[name] = data.draw(anything)
        if isinstance(value.get("lines"), list):
            for line in value["lines"]:
                if isinstance(line, dict) and data.draw(st.booleans()):
                    line[data.draw(st.sampled_from(sorted(line)))] = data.draw(anything)
        log.append(value)
    with fresh_store() as store:
        store.fold(log.records)
        store.roll_up()
        assert rows(store, "SELECT count(*) AS n FROM events") == [{"n": len(log.records)}]
        doubled = rows(store, "SELECT id FROM render_jobs GROUP BY id HAVING count(*) > 1")
        assert doubled == []
