"""`clipfold top` on a system at work, at rest, and without Kafka."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.render.conftest import SLOTS, Stack
from tests.integration.render.roles import ROOT, wait_until

NOBODY = "127.0.0.1:1"


def frame(stack: Stack) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(stack.clipfold("top", "--once", "--json"))
    return told


def test_one_frame_in_the_middle_of_a_mix_and_after_it(stack: Stack, slow_case: dict[str, Any]) -> None:
    # A picture that no other test has asked for, and one that takes its time.
    profile = {"width": 1272, "height": 720, "fps": "30", "quality": "high"}
    lines = slow_case["lines"][:40]
    request = {**slow_case, "mix_id": "on-top", "profile": profile, "song": None, "lines": lines}
    stack.submit(request)
    stack.worker.wait_for("render_worker.clip_task_completed", mix_id="on-top", count=3)
    during = frame(stack)
    (mix,) = (mix for mix in during["mixes"] if mix["mix_id"] == "on-top")
    assert (mix["state"], mix["lines"], mix["revision"]) == ("cutting", 40, 1)
    assert 3 <= mix["done"] < 40
    assert mix["remaining_ms"] > 0
    assert mix["elapsed_ms"] > 0
    (worker,) = (worker for worker in during["workers"] if worker["host"])
    assert (worker["partitions"], worker["host"]) == (16, "127.0.0.1")
    assert 1 <= worker["slots_used"] <= SLOTS
    assert worker["attempts"] >= 3
    assert during["config"]["max_parallelism"] == SLOTS
    groups = {group["group"]: group for group in during["groups"]}
    assert {name: (group["state"], group["members"]) for name, group in groups.items()} == dict.fromkeys(
        ("clipfold-intake", "clipfold-cutter", "clipfold-assembler"), ("Stable", 1)
    )
    assert groups["clipfold-cutter"]["lag"] > 0
    assert groups["clipfold-assembler"]["lag"] > 0
    shown = stack.clipfold("top", "--once")
    assert "on-top" in shown
    assert worker["worker"] in shown

    stack.wait_for_end("on-top")
    wait_until(
        lambda: not any(group["lag"] for group in frame(stack)["groups"]), "all is committed", poll_s=1
    )
    after = frame(stack)
    assert after["mixes"] == []
    assert ("on-top", "rendered") in [(each["mix_id"], each["status"]) for each in after["ended"]]


def test_without_kafka_one_frame_is_exit_3(stack: Stack) -> None:
    nowhere = Stack(NOBODY, stack.artifacts, stack.worker, None)
    status, complaint = nowhere.clipfold_status("top", "--once", "--json")
    assert status == 3
    assert f"Kafka at {NOBODY} is away" in complaint


@pytest.mark.parametrize("arguments", [("--json",), ()])
def test_a_live_view_needs_a_terminal(stack: Stack, arguments: tuple[str, ...]) -> None:
    status, complaint = stack.clipfold_status("top", *arguments)
    assert status == 2
    assert "--once" in complaint


class Terminal:
    """What a command shows on a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.shown = ""

    def shows(self, text: str) -> bool:
        assert self.process.poll() is None, self.shown[-2000:]
        os.set_blocking(self._terminal, False)
        try:
            while part := os.read(self._terminal, 65_536):
                self.shown += part.decode(errors="replace")
        except BlockingIOError:
            pass
        return text in self.shown


@contextmanager
def top_on_a_terminal(bootstrap: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    environment = {"RENDER_KAFKA_BOOTSTRAP": bootstrap, "TERM": "xterm", "COLUMNS": "150", "LINES": "50"}
    process = subprocess.Popen(
        [sys.executable, "-m", "stream_app.cli", "top"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def end_by_ctrl_c(terminal: Terminal) -> int:
    terminal.process.send_signal(signal.SIGINT)

    def has_ended() -> bool:
        if terminal.process.poll() is None:
            terminal.shows("")
        return terminal.process.poll() is not None

    wait_until(has_ended, "it ends")
    return terminal.process.wait()


def test_the_live_view_ends_cleanly_on_ctrl_c(stack: Stack) -> None:
    with top_on_a_terminal(stack.bootstrap) as terminal:
        wait_until(lambda: terminal.shows("clipfold-assembler"), "a first frame")
        assert end_by_ctrl_c(terminal) == 0
    assert "Traceback" not in terminal.shown


def test_without_kafka_the_live_view_says_so_and_goes_on(stack: Stack) -> None:
    assert stack
    with top_on_a_terminal(NOBODY) as terminal:
        wait_until(lambda: terminal.shows("is away"), "it says what is wrong")
        seen = len(terminal.shown)
        wait_until(lambda: terminal.shows("") and len(terminal.shown) > seen, "it tries again")
        assert end_by_ctrl_c(terminal) == 0
    assert "Traceback" not in terminal.shown
