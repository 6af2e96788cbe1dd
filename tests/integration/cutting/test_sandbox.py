"""What stands between a hostile source and the rest of the system, tried from the inside."""

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import pytest

from stream_app.cutting import sandbox as sandbox_module
from stream_app.cutting.limits import CPU_FACTOR, MAX_FILE_BYTES, MAX_OPEN_FILES, OOM_SCORE, memory_bytes
from stream_app.cutting.orders import CutOrder
from stream_app.cutting.pool import CutterPool
from stream_app.cutting.sandbox import Sandbox, find_sandbox
from stream_app.cutting.terms import Isolation
from stream_app.domain.errors import SourceError, UsageError
from stream_app.settings import Settings
from stream_app.sources.source_file import SourceFile
from tests.integration.assembly.process_watch import descendants
from tests.integration.cutting.sandboxes import LEVELS, left_behind, sandbox_of
from topics.profile import RenderProfile
from topics.reasons import FallbackReason

PATIENCE_S = 30


@dataclass(frozen=True)
class House:
    """A project folder that is a media root and holds the artifacts, with secrets in and beside it."""

    project: Path
    beside: Path
    clips: Path
    sandbox: Sandbox


@pytest.fixture
def house(tmp_path: Path) -> House:
    project, beside = tmp_path / "project", tmp_path / "beside"
    for folder in (project, beside):
        folder.mkdir()
        (folder / "film.mp4").write_text("film")
    (project / ".env").write_text("RENDER_KAFKA_SASL_PASSWORD=secret")
    (project / "way-out.mp4").symlink_to(beside / "film.mp4")
    sandbox = sandbox_of("bwrap+rlimits", project / "artifacts", project, tmp_path / "not-yet")
    clips = project / "artifacts" / "clips"
    clips.mkdir(parents=True)
    return House(project, beside, clips, sandbox)


def inside(sandbox: Sandbox, code: str, *arguments: object) -> Any:
    """What `code` assigns to `told` when it runs in the sandbox, with `arguments` in `sys.argv[1:]`."""
    program = f"import json, os, socket, sys\nfrom pathlib import Path\n{code}\nprint(json.dumps(told))"
    ended = subprocess.run(
        sandbox.wrapped([sys.executable, "-c", program, *map(str, arguments)]),
        env=sandbox.environment(),
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads(ended.stdout)


REACH = """
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5).close()
    told = True
except OSError:
    told = False
"""


def test_there_is_no_network(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert inside(Sandbox(house.sandbox.max_pixels), REACH, port)
        assert not inside(house.sandbox, REACH, port)


WRITE = """
told = []
for path in sys.argv[1:]:
    try:
        # Only opened: where this test fails, a setting of the machine is not to be changed.
        open(path, "r+" if os.path.isfile(path) else "x").close()
        told.append(path)
    except OSError:
        pass
"""


def test_only_the_store_can_be_written(house: House) -> None:
    mine = str(house.clips / "mine")
    forbidden = [
        house.project / "new",
        house.project / "film.mp4",
        house.project / "artifacts" / "new",
        house.beside / "new",
        house.beside / "film.mp4",
        Path(sys.prefix) / "new",
        *(Path(top) / "new" for top in ("/", "/etc", "/usr", "/home", "/proc", "/sys")),
        # Root owns these even without any capability.
        *(Path("/proc/sys") / name for name in ("kernel/core_pattern", "kernel/hostname", "vm/swappiness")),
    ]
    assert inside(house.sandbox, WRITE, mine, *forbidden) == [mine]
    assert (house.clips / "mine").exists()


READ = """
told = {}
for path in sys.argv[1:]:
    try:
        told[path] = Path(path).read_text()
    except OSError:
        told[path] = None
"""


def test_sources_can_be_read_and_nothing_else_of_the_users(house: House) -> None:
    hidden = [
        house.beside / "film.mp4",
        house.project / "way-out.mp4",
        Path("/etc/passwd"),
        Path("/etc/hosts"),
        Path(__file__),
        Path(f"/proc/{os.getpid()}/environ"),
    ]
    assert all(path.exists() for path in hidden)
    told = inside(house.sandbox, READ, house.project / "film.mp4", *hidden)
    assert told == {str(house.project / "film.mp4"): "film", **{str(path): None for path in hidden}}


def test_secrets_are_shown_empty_or_not_at_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDER_KAFKA_SASL_PASSWORD", "secret")
    dotenv = house.project / ".env"
    assert inside(house.sandbox, READ, dotenv)[str(dotenv)] in ("", None)
    assert "secret" not in str(inside(house.sandbox, "told = dict(os.environ)"))


CONDITION = """
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
told = [status["NoNewPrivs"].strip(), int(status["CapEff"], 16), len(list(Path("/proc").glob("[0-9]*")))]
"""


def test_it_has_no_powers_and_sees_no_other_processes(house: House) -> None:
    no_new_privileges, capabilities, processes = inside(house.sandbox, CONDITION)
    # Root keeps CAP_DAC_OVERRIDE, for media and stores that belong to somebody else.
    assert (no_new_privileges, capabilities) == ("1", 1 << 1 if os.geteuid() == 0 else 0)
    assert processes <= 2


def test_links_lead_where_they_lead_outside(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    (real / "media").mkdir(parents=True)
    (real / "media" / "film.mp4").write_text("film")
    link.symlink_to(real)
    (tmp_path / "media").symlink_to("link/media")
    sandbox = sandbox_of("bwrap+rlimits", link / "artifacts", tmp_path / "media")
    named = [tmp_path / "media" / "film.mp4", real / "media" / "film.mp4"]
    assert set(inside(sandbox, READ, *named).values()) == {"film"}


@pytest.fixture
async def pool(tmp_path: Path, order: CutOrder, level: Isolation) -> AsyncIterator[CutterPool]:
    sandbox = sandbox_of(level, tmp_path, order.source.path.parent)
    async with CutterPool(1, tmp_path / "clips", sandbox) as pool:
        yield pool


@pytest.fixture
def order(footage: Any, small: RenderProfile) -> CutOrder:
    return CutOrder(SourceFile(footage.source("h264-mp4").path), 1000, 20, 5, small)


def cutter_pid(pool: CutterPool) -> int:
    """The cutting process itself, without what is wrapped around it."""
    (outermost,) = pool.pids
    family = [outermost, *descendants(outermost)]
    (python,) = [pid for pid in family if "python" in Path(f"/proc/{pid}/exe").readlink().name]
    return python


def status_of(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text().strip()


@pytest.mark.parametrize("level", LEVELS)
async def test_it_cuts_and_says_what_it_ran_in(
    pool: CutterPool, order: CutOrder, footage: Any, level: Isolation, tmp_path: Path
) -> None:
    cut = await pool.run(order)
    assert cut.isolation == level
    stream = replace(order, source=SourceFile(footage.source("ts").path))
    rebased = await pool.run(stream)
    assert (rebased.method, rebased.isolation) == ("pyav-exact-rebased", level)
    assert footage.read(rebased.path) == footage.read(cut.path)
    # Nothing is left but the copy and the index of either file, which later clips of the source use.
    kept = sorted(path.name.partition("-")[0] for path in (tmp_path / "clips" / ".tmp").iterdir())
    assert kept == ["index", "index", "rebased"]


@pytest.mark.parametrize("level", LEVELS)
async def test_limits_are_in_force(pool: CutterPool, order: CutOrder) -> None:
    order = replace(order, clip_timeout_ms=90_000)
    await pool.run(order)
    pid = cutter_pid(pool)
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (MAX_OPEN_FILES, MAX_OPEN_FILES)
    assert resource.prlimit(pid, resource.RLIMIT_FSIZE) == (MAX_FILE_BYTES, MAX_FILE_BYTES)
    assert resource.prlimit(pid, resource.RLIMIT_DATA)[0] == memory_bytes(
        order, Settings(_env_file=None).max_pixels
    )
    assert CPU_FACTOR * 90 <= resource.prlimit(pid, resource.RLIMIT_CPU)[0] <= CPU_FACTOR * 90 + 30
    assert status_of(pid, "oom_score_adj") == str(OOM_SCORE)
    await pool.run(replace(order, start_ms=0, clip_timeout_ms=200_000))
    assert resource.prlimit(pid, resource.RLIMIT_CPU)[0] >= CPU_FACTOR * 200


@pytest.mark.parametrize("level", LEVELS)
async def test_a_file_beyond_the_limit_costs_an_attempt_and_is_no_full_disk(
    pool: CutterPool, order: CutOrder, tmp_path: Path
) -> None:
    await pool.run(order)
    resource.prlimit(cutter_pid(pool), resource.RLIMIT_FSIZE, (4096, 4096))
    with pytest.raises(SourceError, match="wrote a file of more than") as caught:
        await pool.run(replace(order, start_ms=0))
    assert caught.value.retryable
    assert (await pool.run(replace(order, start_ms=0))).frames == 25
    await pool.close()
    assert left_behind(tmp_path / "clips") == []


@pytest.mark.parametrize("level", LEVELS)
async def test_memory_beyond_the_limit_costs_an_attempt_and_no_process(
    pool: CutterPool, order: CutOrder
) -> None:
    await pool.run(order)
    pid = cutter_pid(pool)
    taken = status_of(pid, "status").partition("VmData:")[2]
    limit = int(taken.split()[0]) * 1024 + 60 * 2**20
    resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
    huge = RenderProfile(width=7680, height=4320)
    with pytest.raises(SourceError):
        await pool.run(replace(order, profile=huge))
    assert (await pool.run(replace(order, start_ms=0))).frames == 25


async def test_frames_of_more_pixels_than_allowed_are_refused(order: CutOrder, tmp_path: Path) -> None:
    with av.open(str(order.source.path)) as source:
        pixels = source.streams.video[0].width * source.streams.video[0].height
    async with CutterPool(1, tmp_path / "clips", Sandbox(pixels)) as pool:
        assert (await pool.run(order)).frames == 25
    async with CutterPool(1, tmp_path / "other clips", Sandbox(pixels - 1)) as pool:
        with pytest.raises(SourceError) as caught:
            await pool.run(order)
    assert caught.value.reason == FallbackReason.SOURCE_INVALID
    assert not caught.value.retryable


async def test_folders_that_come_and_go_are_seen(order: CutOrder, tmp_path: Path, footage: Any) -> None:
    late = tmp_path / "late"
    sandbox = sandbox_of("bwrap+rlimits", tmp_path, order.source.path.parent, late)
    async with CutterPool(1, tmp_path / "clips", sandbox) as pool:
        await pool.run(order)
        before = pool.pids
        await pool.run(replace(order, start_ms=1))
        assert pool.pids == before
        late.mkdir()
        film = late / "film.mp4"
        film.write_bytes(order.source.path.read_bytes())
        assert (await pool.run(replace(order, source=SourceFile(film), start_ms=2))).frames == 25
        # The store is removed under a process that is warm.
        (tmp_path / "clips").rename(tmp_path / "old")
        again = await pool.run(order)
        assert footage.read(again.path) == list(range(30, 55))


def settings(folder: Path, wanted: str) -> Settings:
    return Settings(_env_file=None, artifacts_dir=folder, media_roots=(folder,), sandbox=wanted)


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def forbidden_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where user namespaces are not allowed."""
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_bubblewrap")
def test_strict_refuses_without_bubblewrap(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"RENDER_SANDBOX=strict.*apt-get install bubblewrap"):
        find_sandbox(settings(tmp_path, "strict"))


@pytest.mark.usefixtures("forbidden_bubblewrap")
def test_strict_refuses_where_it_does_not_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"setting up uid map: Permission denied.*namespaces"):
        find_sandbox(settings(tmp_path, "strict"))


@pytest.mark.parametrize("trouble", ["no_bubblewrap", "forbidden_bubblewrap"])
def test_auto_goes_on_without_and_says_so(
    tmp_path: Path, trouble: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request.getfixturevalue(trouble)
    said: list[str] = []
    monkeypatch.setattr(sandbox_module.log, "warning", lambda event, **_: said.append(event), raising=False)
    assert find_sandbox(settings(tmp_path, "auto")).isolation == "rlimits"
    assert said == ["render_worker.sandbox_missing"]


def test_off_tries_nothing(tmp_path: Path) -> None:
    assert find_sandbox(settings(tmp_path, "off")).isolation == "rlimits"


def test_auto_takes_it_where_it_works(tmp_path: Path) -> None:
    sandbox_of("bwrap+rlimits", tmp_path)
    assert find_sandbox(settings(tmp_path, "auto")).isolation == "bwrap+rlimits"
