"""The limits that a cutting process puts on itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stream_app.cutting.limits import how_it_ended, memory_bytes
from stream_app.cutting.orders import CutOrder, MeasureOrder, PlaceholderOrder
from stream_app.cutting.terms import Terms, new_owner
from stream_app.sources.source_file import SourceFile
from topics.profile import RenderProfile

GIB = 2**30
PIXELS_8K = 8192 * 4352


def ended(code: str, *, before: str = "") -> int:
    """The exit status of a process that runs `code` under limits."""
    program = f"""
import resource, sys
from pathlib import Path
from stream_app.cutting.limits import allow, hold_limits
from stream_app.cutting.orders import MeasureOrder
{before}
hold_limits()
allow(MeasureOrder(Path(), clip_timeout_ms=1), 256)
{code}
"""
    return subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode


def test_a_process_that_computes_for_ever_is_ended() -> None:
    assert ended("while True: pass") == -signal.SIGXCPU


def test_writing_beyond_the_limit_ends_the_process() -> None:
    narrower = "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))"
    write = "import tempfile; file = tempfile.TemporaryFile(); file.write(bytes(99)); file.flush()"
    assert ended(write, before=narrower) == -signal.SIGXFSZ


def test_memory_beyond_the_limit_is_an_error_and_no_end() -> None:
    assert ended("try: bytes(2 * 2**30)\nexcept MemoryError: sys.exit(7)") == 7


def test_limits_that_are_narrower_already_are_kept() -> None:
    before = "resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))"
    assert ended("sys.exit(resource.getrlimit(resource.RLIMIT_NOFILE)[0])", before=before) == 99


def test_no_core_is_dumped() -> None:
    assert ended("sys.exit(resource.getrlimit(resource.RLIMIT_CORE) != (0, 0))") == 0


def test_memory_grows_with_what_is_decoded_and_what_is_encoded() -> None:
    def for_profile(width: int, height: int) -> float:
        order = CutOrder(SourceFile(Path()), 0, 1, 0, RenderProfile(width=width, height=height))
        return memory_bytes(order, PIXELS_8K) / GIB

    # 8K to 720p took 1.6 GiB of a common source, to 7680x7680 at quality `high` 7.8 GiB.
    assert 7 < for_profile(1280, 720) < 8
    assert 13 < for_profile(7680, 7680) < 15
    placeholder = PlaceholderOrder(None, 1, RenderProfile(width=1280, height=720))
    assert memory_bytes(placeholder, 0) > memory_bytes(MeasureOrder(Path()), 0) > GIB / 4


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (-signal.SIGXCPU, "processor time"),
        (128 + signal.SIGXCPU, "processor time"),
        (-signal.SIGXFSZ, "64 GiB"),
        (128 + signal.SIGXFSZ, "64 GiB"),
        (-signal.SIGSEGV, "crashed"),
        (128 + signal.SIGSEGV, "crashed"),
        (1, "crashed"),
        (0, "crashed"),
        (None, "crashed"),
    ],
)
def test_the_end_of_a_process_says_which_limit_it_met(status: int | None, meaning: str) -> None:
    assert meaning in how_it_ended(status)


def test_terms_travel_as_an_argument() -> None:
    terms = Terms(Path("/clips"), new_owner(), "bwrap+rlimits", PIXELS_8K, None)
    assert Terms.of_argument(terms.to_argument()) == terms


def test_every_child_has_an_owner_of_its_own() -> None:
    assert new_owner() != new_owner()
    assert new_owner().startswith(f"{os.getpid()}-")
