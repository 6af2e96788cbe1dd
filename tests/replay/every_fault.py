"""Makes the golden log in which everything goes wrong that can: `python -m tests.replay.every_fault`."""

from pathlib import Path

from stream_app.kafka.dump import dumped
from tests.unit.projections.histories import Log
from topics.reasons import FallbackReason

TARGET = Path(__file__).parent / "golden" / "v1_every_fault.log.jsonl"


def every_fault() -> Log:
    """Each reason of a placeholder, each end of a mix, retries and fall-through, duplicates, and rubbish."""
    log = Log()
    log.config({"max_parallelism": 2, "max_retry": 1}, "ann")
    _placeholders(log)
    _retries(log)
    _ends(log)
    _duplicates(log)
    log.config({"max_parallelism": 0}, "bob")
    log.config(b"no json")
    log.config({"per_video_limit": 1})
    _rubbish(log)
    return log


def _placeholders(log: Log) -> None:
    mix = log.mix("every-reason", partition=1)
    tasks = {reason: f"task-{reason}" for reason in FallbackReason}
    mix.accepted(*tasks.values())
    for number, (reason, task) in enumerate(tasks.items()):
        if reason is not FallbackReason.NO_CANDIDATES:
            mix.failed(
                task, 100 * number, 100 * number + 60, video=f"v-{number}", reason=reason, retryable=False
            )
        mix.placeholder(task, 100 * number + 70, reason)
    mix.rendered(2000)


def _retries(log: Log) -> None:
    mix = log.mix("retries", partition=1)
    mix.accepted("paid-off", "fell-through", "gave-up")
    mix.failed("paid-off", 0, 50)
    mix.completed("paid-off", 600, 700, attempt=2)
    mix.failed("fell-through", 0, 80, reason="source_missing", retryable=False)
    mix.completed("fell-through", 90, 200, video="v2", candidate_index=1)
    mix.failed("gave-up", 0, 20)
    mix.failed("gave-up", 500, 530, attempt=2)
    mix.failed("gave-up", 540, 560, video="v2", candidate_index=1, reason="cut_failed")
    mix.placeholder("gave-up", 570)
    mix.rendered(900)


def _ends(log: Log) -> None:
    cancelled = log.mix("cancelled", partition=2)
    cancelled.accepted("a", "b")
    cancelled.completed("a", 0, 100)
    cancelled.ended("mix-cancelled", 120, "requested")
    # A cut that was running when it was cancelled.
    cancelled.completed("b", 90, 190)
    failed = log.mix("failed", partition=2)
    failed.accepted("a")
    failed.completed("a", 0, 100)
    failed.ended("mix-failed", 150, "song_unavailable")
    log.mix("rejected", partition=3).rejected(code="line_too_short")
    revised = log.mix("revised", partition=3)
    revised.accepted("kept", "changed")
    revised.completed("kept", 0, 100)
    revised.completed("changed", 0, 110)
    revised.rendered(200)
    revised.rejected(250, code="no_change")
    revised.accepted("kept", "new", revision=2, at_ms=300)
    revised.rendered(310, revision=1)
    revised.completed("new", 320, 400)
    revised.rendered(500, revision=2)
    unfinished = log.mix("unfinished", partition=4)
    unfinished.accepted("a", "b")
    unfinished.failed("a", 0, 10)


def _duplicates(log: Log) -> None:
    """A zombie says again what was said, and something else of what was decided."""
    mix = log.mix("redelivered", partition=5)
    accepted = mix.accepted("a")
    first = mix.completed("a", 0, 100)
    for record in (accepted, first):
        log.append(record.value, partition=5, key=record.key)
    mix.completed("a", 5, 95, worker="zombie", sha256="e" * 64)
    mix.placeholder("a", 110)
    end = mix.rendered(200)
    log.append(end.value, partition=5, key=end.key)
    mix.ended("mix-failed", 210)


def _rubbish(log: Log) -> None:
    log.append(None, partition=6, key=b"redelivered")
    log.append(b"\xff\xfe no text", partition=6, key=b"\xff")
    log.append(b"[1, 2]", partition=6, key=b"list")
    log.append({"type": "mix-accepted", "mix_id": "half"}, partition=6, key=b"half")
    log.append({"type": "mix-celebrated", "mix_id": "every-reason", "at_ms": 1}, partition=6, key=b"unknown")
    log.append(
        {"type": "clip-completed", "mix_id": "every-reason", "at_ms": 1},
        partition=6,
        key=b"newer",
        headers=[("ce_type", b"clipfold.clip-completed.v2")],
    )


if __name__ == "__main__":
    TARGET.write_bytes(b"".join(dumped(record) + b"\n" for record in every_fault().records))
