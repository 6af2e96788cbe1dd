"""`clipfold render` as its user types it, on a machine where nothing runs yet."""

import json
import signal
from pathlib import Path

import av
import pytest

from tests.integration.cli.conftest import Machine
from tests.integration.render.roles import wait_until


def test_one_command_makes_a_video_and_leaves_nothing_running(machine: Machine, tmp_path: Path) -> None:
    out = tmp_path / "video.mp4"
    done = machine.type("render", machine.request("first", 3), "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert machine.running() == []
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 5400  # the song is longer than three lines
    assert out.with_suffix(".srt").read_text().startswith("1\n00:00:00,000 --> 00:00:03,000\n")
    facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert (facts["total_clips"], facts["completed_tasks"], facts["placeholder_tasks"]) == ("3", "3", "0")
    assert "3/3 clips" in done.stderr


def test_the_same_request_again_gives_the_finished_video_again(machine: Machine, tmp_path: Path) -> None:
    request = machine.request("again", 1)
    first = machine.type("render", request, "--json")
    second = machine.type("render", request, "-o", str(tmp_path / "again.mp4"), "--json")
    assert first.returncode == second.returncode == 0, second.stderr
    told, retold = json.loads(first.stdout), json.loads(second.stdout)
    assert told["event_id"] == retold["event_id"]
    assert (tmp_path / "again.mp4").stat().st_size == told["bytes"]
    assert machine.running() == []


def test_a_video_that_was_removed_is_made_again_under_its_id(machine: Machine) -> None:
    request = machine.request("again", 1)
    first = json.loads(machine.type("render", request, "--json").stdout)
    Path(first["video"]).unlink()
    second = machine.type("render", request, "--json")
    assert second.returncode == 0, second.stderr
    told = json.loads(second.stdout)
    assert (told["revision"], told["sha256"]) == (first["revision"] + 1, first["sha256"])
    assert Path(told["video"]).stat().st_size == told["bytes"]


def test_other_content_under_a_used_id_is_wrong_use(machine: Machine) -> None:
    machine.type("render", machine.request("used", 1))
    done = machine.type("render", machine.request("used", 2))
    assert done.returncode == 2
    assert "another mix_id" in done.stderr


def test_placeholders_are_no_failure_and_are_said(machine: Machine) -> None:
    lines = [{"text": "nothing to see", "start_ms": 0, "end_ms": 1000, "candidates": []}]
    done = machine.type("render", machine.request("bare", 1, lines=lines, song=None))
    assert done.returncode == 0, done.stderr
    assert "1 of 1 lines show a placeholder" in done.stderr


def test_a_mix_that_fails_is_exit_1_with_its_reason(machine: Machine) -> None:
    done = machine.type("render", machine.request("silent", 1, song={"uri": "nowhere.m4a"}))
    assert done.returncode == 1
    assert "song_unavailable" in done.stderr


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        ('{"lines": []}', 1, "/lines"),
        ("not json", 2, "not JSON"),
        ('{"type": "mix-cancel", "mix_id": "x"}', 2, "mix-cancel"),
        (None, 2, "cannot be read"),
    ],
)
def test_a_bad_request_is_told_before_anything_is_started(
    machine: Machine, tmp_path: Path, content: str | None, code: int, says: str
) -> None:
    path = tmp_path / "request.json"
    if content is not None:
        path.write_text(content)
    done = machine.type("render", str(path))
    assert done.returncode == code
    assert says in done.stderr
    assert machine.running() == []


def test_ctrl_c_ends_cleanly_and_the_next_call_goes_on(machine: Machine) -> None:
    request = machine.request("interrupted", 40)
    process = machine.start("render", request)
    log = machine.artifacts / "logs" / "worker.log"

    def has_cut() -> bool:
        return any(
            '"render_worker.clip_task_completed"' in line and '"interrupted"' in line
            for line in log.read_text().splitlines()
        )

    wait_until(lambda: log.exists() and has_cut(), "a first clip", 120)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "type the same command again" in told
    assert machine.running() == []
    done = machine.type("render", request, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["clip_stats"]["total_clips"] == 40


def test_commands_without_kafka_say_what_to_type(machine: Machine) -> None:
    for command in (["worker"], ["submit", machine.request("nowhere", 1)], ["topics", "check"]):
        done = machine.type(*command)
        assert done.returncode == 3, command
        assert "clipfold kafka start" in done.stderr
    assert machine.type("kafka", "status").returncode == 3
    assert machine.type("doctor").returncode == 1


def test_the_broker_by_hand(machine: Machine) -> None:
    started = machine.type("kafka", "start")
    try:
        assert started.returncode == 0, started.stderr
        assert machine.type("kafka", "start").stdout == started.stdout
        status = json.loads(machine.type("kafka", "status", "--json").stdout)
        assert status["bootstrap"] == started.stdout.strip()
        assert machine.type("topics", "create").returncode == 0
        assert machine.type("topics", "check").returncode == 0
        assert machine.type("show", "first", "--json").returncode == 0
        assert machine.type("show", "never-heard-of").returncode == 2
    finally:
        assert machine.type("kafka", "stop").returncode == 0
    assert machine.running() == []
