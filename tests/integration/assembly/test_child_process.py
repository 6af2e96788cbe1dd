"""Programs that do not want to end, end."""

import sys
from pathlib import Path

import pytest

from stream_app.child_process import STDERR_TAIL, TimeLimitError, run_to_end
from tests.integration.assembly.process_watch import wait_for_end

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    open(sys.argv[1], "w").write(f"{os.getpid()} {child}")
time.sleep(60)
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_status_and_last_words() -> None:
    ended = run_to_end(
        python("import sys; print('a' * 5000 + 'end', file=sys.stderr); sys.exit(3)"), timeout_s=10
    )
    assert ended.returncode == 3
    assert len(ended.stderr) <= STDERR_TAIL
    assert ended.stderr.endswith("aend")


def test_much_output_blocks_nobody() -> None:
    assert run_to_end(python("import sys; sys.stderr.write('x' * 1_000_000)"), timeout_s=10).returncode == 0


def test_stdin_is_empty() -> None:
    assert run_to_end(python("import sys; sys.exit(len(sys.stdin.read()))"), timeout_s=10).returncode == 0


def test_the_time_limit_ends_the_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(TimeLimitError, match=r"still running after 1\.5 s"):
        run_to_end(python(STUBBORN, str(pids)), timeout_s=1.5)
    assert [wait_for_end(int(pid)) for pid in pids.read_text().split()] == [True, True]


ORPHAN = """
import os, sys, time
if child := os.fork():
    open(sys.argv[1], "w").write(str(child))
else:
    time.sleep(60)
"""


def test_a_grandchild_left_behind_is_ended(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert run_to_end(python(ORPHAN, str(pids)), timeout_s=10).returncode == 0
    assert wait_for_end(int(pids.read_text()))


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        run_to_end(["/nowhere/ffmpeg"], timeout_s=10)
