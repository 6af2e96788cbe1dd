"""The log folded anew, from Kafka and from a dump: the same tables as the live ones; what a dump holds."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from projections.rebuild import differences
from tests.integration.render.conftest import Stack
from tests.integration.render.test_parallel_clip_pipeline import small


@pytest.fixture(scope="module")
def replayed(stack: Stack, slow_case: dict[str, Any]) -> str:
    """A mix that has been rendered, of clips that no other test has; its id."""
    request = small(slow_case, "replayed", lines=3)
    stack.submit({**request, "profile": {**request["profile"], "width": 332}})
    stack.wait_for_end("replayed")
    return "replayed"


def replay(stack: Stack, *arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(stack.clipfold("replay", "--json", *arguments))
    return told


def without_broker(dump: str) -> list[str]:
    """The lines of a dump in one order; kcat also says which broker it asked."""
    lines = [json.loads(line) for line in dump.splitlines()]
    return sorted(json.dumps(line | {"broker": 1}, sort_keys=True) for line in lines)


def test_the_live_tables_are_what_the_log_says(stack: Stack, replayed: str, tmp_path: Path) -> None:
    told = replay(stack, "--verify", "--to", str(tmp_path / "again.duckdb"))
    assert (told["verified"], told["differences"]) == (True, [])
    with duckdb.connect(tmp_path / "again.duckdb", read_only=True) as con:
        assert con.execute("SELECT status FROM render_jobs WHERE id = ?", [replayed]).fetchall() == [
            ("rendered",)
        ]
        assert con.execute("SELECT sum(next_offset) FROM snapshot_info").fetchone() == (told["records"],)


def test_a_difference_is_shown_and_is_a_failure(stack: Stack, replayed: str, tmp_path: Path) -> None:
    live = stack.artifacts / "clipfold.duckdb"
    other = tmp_path / "artifacts"
    other.mkdir()
    (other / live.name).write_bytes(live.read_bytes())
    with duckdb.connect(other / live.name) as con:
        con.execute(
            "UPDATE clips SET worker = 'somebody else' WHERE mix_id = ? AND clip_index = 1", [replayed]
        )
    forged = Stack(stack.bootstrap, other, stack.worker, None)
    code, said = forged.clipfold_status("replay", "--verify")
    assert code == 1
    assert said.count("clips: only in") == 2
    assert "somebody else" in said


@pytest.mark.usefixtures("replayed")
def test_a_dump_is_what_kcat_prints_and_replays_without_kafka(stack: Stack, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    topics = [part for topic in ("mix-events", "render-config") for part in ("--topic", topic)]
    stack.clipfold("export-log", str(ours), *topics)
    theirs.write_text(
        "".join(
            stack.kcat("-C", "-J", "-t", topic, "-o", "beginning", "-e")
            for topic in ("mix-events", "render-config")
        )
    )
    assert without_broker(ours.read_text()) == without_broker(theirs.read_text())
    stack.clipfold("replay", "--to", str(tmp_path / "log.duckdb"))
    nobody = Stack("127.0.0.1:9", stack.artifacts, stack.worker, None)
    for dump in (ours, theirs):
        target = tmp_path / f"{dump.stem}.duckdb"
        nobody.clipfold("replay", "--from-log", str(dump), "--to", str(target))
        assert differences(tmp_path / "log.duckdb", target) == []


def test_a_replay_stops_where_it_is_told_to(stack: Stack, replayed: str, tmp_path: Path) -> None:
    accepted, *_, rendered = (line.split()[0] for line in stack.clipfold("events", replayed).splitlines())
    (at_ms,) = {event["at_ms"] for event in stack.events(replayed) if event["type"] == "mix-accepted"}

    def status(*until: str) -> list[tuple[Any, ...]]:
        target = tmp_path / f"until-{len(list(tmp_path.iterdir()))}.duckdb"
        replay(stack, "--to", str(target), *(part for each in until for part in ("--until", each)))
        with duckdb.connect(target, read_only=True) as con:
            return con.execute("SELECT status FROM render_jobs WHERE id = ?", [replayed]).fetchall()

    assert status(rendered) == [("rendering",)]
    assert status(accepted) == []
    assert status(str(at_ms)) == []
    assert status("2100-01-01T00:00:00Z") == [("rendered",)]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("replay", "--until", "120"), "an offset needs its topic and partition"),
        (("replay", "--until", "yesterday"), "or a time, such as"),
        (("replay", "--until", "mix-events/0/1", "--verify"), "leave --until out"),
        (("replay", "--from-log", "no-such-file"), "no-such-file cannot be read"),
        (("replay", "--from-log", "README.md"), "README.md, line 1 is no record"),
        (("replay", "--to", "README.md"), "is there already"),
        (("export-log", "README.md"), "is there already"),
        (("export-log", "-", "--topic", "mixes"), "no topic of clipfold is named mixes"),
    ],
)
def test_wrong_use_is_told(stack: Stack, arguments: tuple[str, ...], complaint: str) -> None:
    code, said = stack.clipfold_status(*arguments)
    assert (code, complaint in said) == (2, True), said


def test_a_dump_for_others_has_one_mix_and_no_secrets(
    stack: Stack, slow_case: dict[str, Any], replayed: str
) -> None:
    request = small(slow_case, "with-a-key", lines=1)
    secret = {"video_id": "v", "uri": "http://ann:pass@127.0.0.1:9/a.mp4?sig=hidden", "start_ms": 0}
    stack.submit({**request, "lines": [{**request["lines"][0], "candidates": [secret]}]})
    stack.wait_for_end("with-a-key")
    dump = stack.clipfold("export-log", "-", "--mix", "with-a-key", "--redact")
    assert "with-a-key" in dump
    assert "/a.mp4" in dump
    assert "hidden" not in dump
    assert "ann:pass" not in dump
    assert replayed not in dump


def test_a_past_mix_is_replayed_under_other_limits(stack: Stack, replayed: str) -> None:
    (told,) = json.loads(stack.clipfold("what-if", replayed, "--max-parallelism", "1", "--json"))
    # What is left out is what no slot was taken for, so the replay is never later than it was.
    assert 0 < told["replayed_ms"] <= told["recorded_ms"]
    assert told["what_if_ms"] > told["replayed_ms"]
    assert told["peak_parallelism"] == 1
    code, said = stack.clipfold_status("what-if", "never-heard-of")
    assert (code, "never-heard-of is not in the snapshot" in said) == (2, True)
