"""How cutting processes are started: inside bubblewrap where that works, else as plain processes.

docs/adr/0005-isolation.md says what either stops, and what it does not.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stream_app.cutting.mounts import TEMPORARY, Mounts, View, ffmpeg_program
from stream_app.cutting.terms import Isolation, Terms
from stream_app.domain.errors import UsageError
from stream_app.settings import Settings
from stream_app.telemetry.log import get_logger

BWRAP = "bwrap"
INSTALL = "apt-get install bubblewrap (or your system's package of that name)"

PROBE = "import tempfile, stream_app.cutting.child; tempfile.TemporaryFile()"
"""What every cutting process needs inside: all that it imports, and a place for temporary files."""

PROBE_TIMEOUT_S = 60

KEPT_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
"""What Python and its libraries may need to be found. No other variable is passed on: some are secrets."""

log = get_logger()


@dataclass(frozen=True)
class Sandbox:
    """How the cutting processes of a worker are started.

    Attributes:
        max_pixels: sources with frames of more are refused.
        bwrap: the program bubblewrap, and what is seen inside of it; None for plain processes.
    """

    max_pixels: int
    bwrap: tuple[str, Mounts] | None = None

    @property
    def isolation(self) -> Isolation:
        """The level, as events tell it."""
        return "bwrap+rlimits" if self.bwrap else "rlimits"

    def command(self, store: Path, owner: str) -> list[str]:
        """The command of one cutting process, which keeps its files in `store` under names of `owner`."""
        parent = None if self.bwrap else os.getpid()
        terms = Terms(store.resolve(), owner, self.isolation, self.max_pixels, parent)
        return self.wrapped([sys.executable, "-m", "stream_app.cutting.child", terms.to_argument()])

    def probe(self) -> str | None:
        """What hinders a cutting process from starting; None when nothing does."""
        try:
            ended = subprocess.run(
                self.wrapped([sys.executable, "-c", PROBE]),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROBE_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if ended.returncode == 0:
            return None
        last_words = ended.stderr.decode(errors="replace").strip().splitlines()
        return last_words[-1] if last_words else f"it ended with status {ended.returncode}"

    def environment(self) -> dict[str, str] | None:
        """The variables of a cutting process; None: ours."""
        if self.bwrap is None:
            return None
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        ffmpeg = ffmpeg_program()
        if ffmpeg is not None:
            kept["IMAGEIO_FFMPEG_EXE"] = str(ffmpeg)
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": TEMPORARY, "TMPDIR": TEMPORARY, **kept}

    def view(self) -> View:
        """What of our files a process that is started now can see; `()` when it sees everything."""
        return self.bwrap[1].view() if self.bwrap else ()

    def wrapped(self, argv: list[str]) -> list[str]:
        """`argv`, to be run in this sandbox with the variables of `environment`."""
        if self.bwrap is None:
            return argv
        program, mounts = self.bwrap
        return [
            program,
            *("--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
            *("--die-with-parent", "--new-session"),
            *_capabilities(),
            *mounts.options(),
            "--",
            *argv,
        ]


def find_sandbox(settings: Settings) -> Sandbox:
    """The best that `RENDER_SANDBOX` asks for and that works here; tries it out, which takes about a second.

    Raises:
        UsageError: `strict`, and bubblewrap is missing or does not work.
    """
    plain = Sandbox(settings.max_pixels)
    if settings.sandbox == "off":
        return plain
    sandbox = with_bubblewrap(settings)
    trouble = trouble_with(sandbox)
    if trouble is None:
        return sandbox
    if settings.sandbox == "strict":
        raise UsageError(f"RENDER_SANDBOX=strict, but {trouble}")
    log.warning("render_worker.sandbox_missing", error=trouble, isolation=plain.isolation)
    return plain


def with_bubblewrap(settings: Settings) -> Sandbox:
    """A sandbox with bubblewrap, whether it works or not."""
    # The placeholder asset lies under a media root, too.
    roots = settings.media_roots
    keys = [path for path in (settings.kafka_ssl_keyfile,) if path]
    mounts = Mounts(
        readable=(*roots, settings.sources_dir),
        secret=(Path(".env"), *(root / ".env" for root in roots), *keys),
        store=settings.clips_dir,
    )
    return Sandbox(settings.max_pixels, (shutil.which(BWRAP) or BWRAP, mounts))


def trouble_with(sandbox: Sandbox) -> str | None:
    """Why a sandbox with bubblewrap cannot be used here, and what to do; None when it can."""
    if shutil.which(BWRAP) is None:
        return f"bubblewrap is not installed: {INSTALL}"
    hindrance = sandbox.probe()
    if hindrance is None:
        return None
    return (
        f"bubblewrap does not work here: {hindrance}. If namespaces are what it may not have: look at "
        "`sysctl user.max_user_namespaces kernel.apparmor_restrict_unprivileged_userns`; a container must "
        "allow them, or have the capability SYS_ADMIN"
    )


def _capabilities() -> list[str]:
    """None at all; but root goes on to read and write what belongs to others, inside of what it sees."""
    return ["--cap-drop", "ALL", *(["--cap-add", "CAP_DAC_OVERRIDE"] if os.geteuid() == 0 else [])]
