"""`clipfold doctor`: what is there, what is missing, and what to type."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import imageio_ffmpeg
import typer
from aiokafka.errors import KafkaError

from stream_app.cli.connection import with_kafka
from stream_app.cli.exits import Exit, exit_codes
from stream_app.cli.output import AsJson, print_json
from stream_app.cutting.lyrics.render import render_text
from stream_app.cutting.sandbox import trouble_with, with_bubblewrap
from stream_app.domain.errors import ClipfoldError
from stream_app.kafka.topology import find_mismatches
from stream_app.role_lock import is_running
from stream_app.settings import Settings
from topics.config import RenderClipConfig
from topics.profile import RenderProfile

SCRIPTS = {
    "fonts-noto-cjk": {"Chinese": "中", "Japanese": "あ", "Korean": "한"},
    "fonts-noto-core": {"Bengali": "অ", "Devanagari": "अ", "Tamil": "அ", "Thai": "ก"},
}
"""Debian's packages of fonts, and a letter of each script that is asked of them; the font that is shipped has
Latin, Greek, Cyrillic, Arabic and Hebrew."""

MIN_FREE_BYTES = 2 * 2**30
"""A mix of an hour at 720p needs about 1 GiB for its clips and its video."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    found: str
    mend: str = ""


def doctor(*, as_json: AsJson = False) -> None:
    """Look at everything that clipfold needs; exit 1 when something is missing."""
    with exit_codes():
        findings = list(_examine(Settings()))
        if as_json:
            print_json([asdict(finding) for finding in findings])
        else:
            for finding in findings:
                mend = f"  ->  {finding.mend}" if finding.mend and not finding.fine else ""
                print(f"{'ok     ' if finding.fine else 'MISSING'}  {finding.what}: {finding.found}{mend}")
        if not all(finding.fine for finding in findings):
            raise typer.Exit(Exit.FAILED)


def _examine(settings: Settings) -> Iterator[Finding]:
    yield Finding("Python", fine=True, found=sys.version.split()[0])
    yield _encoder()
    yield _ffmpeg()
    yield _lyrics()
    yield _sandbox(settings)
    yield _artifacts(settings.artifacts_dir)
    yield from (_media_root(root) for root in settings.media_roots)
    yield _placeholder(settings)
    yield from _kafka(settings)


def _encoder() -> Finding:
    there = "libx264" in av.codecs_available
    return Finding("x264 encoder", there, f"PyAV {av.__version__}", "pip install --force-reinstall av")


def _ffmpeg() -> Finding:
    try:
        return Finding("ffmpeg", fine=True, found=imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        return Finding(
            "ffmpeg", fine=False, found=str(error), mend="pip install --force-reinstall imageio-ffmpeg"
        )


def _lyrics() -> Finding:
    """Whether lyrics can be drawn into the picture, and in which scripts."""
    letters = "".join(letter for scripts in SCRIPTS.values() for letter in scripts.values())
    mend = "pip install --force-reinstall imageio-ffmpeg; leave IMAGEIO_FFMPEG_EXE unset"
    try:
        with tempfile.TemporaryDirectory() as scratch:
            drawn = render_text(f"A{letters}", RenderProfile(width=320, height=180), Path(scratch, "lyrics"))
    except (ClipfoldError, OSError, RuntimeError) as error:
        return Finding("lyrics", fine=False, found=str(error), mend=mend)
    if "A" in drawn.undrawn:
        return Finding("lyrics", fine=False, found="libass draws nothing", mend=mend)
    advice = [
        f"no font for {', '.join(names)}: apt-get install {package}"
        for package, scripts in SCRIPTS.items()
        if (names := [name for name, letter in scripts.items() if letter in drawn.undrawn])
    ]
    return Finding("lyrics", fine=True, found="; ".join(["libass draws them", *advice]))


def _sandbox(settings: Settings) -> Finding:
    if settings.sandbox == "off":
        return Finding("sandbox", fine=True, found="RENDER_SANDBOX=off: cutters have resource limits only")
    trouble = trouble_with(with_bubblewrap(settings))
    if trouble is None:
        return Finding("sandbox", fine=True, found="bubblewrap, without network, around the cutters")
    found = f"cutters have resource limits only, for {trouble}"
    return Finding("sandbox", settings.sandbox != "strict", found, "or set RENDER_SANDBOX=auto")


def _artifacts(folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            "artifacts", fine=False, found=f"{folder}: {error.strerror}", mend="set RENDER_ARTIFACTS_DIR"
        )
    found = f"{folder.resolve()} is writable, {free // 2**20} MiB free"
    return Finding("artifacts", free >= MIN_FREE_BYTES, found, "free disk space, or set RENDER_ARTIFACTS_DIR")


def _media_root(root: Path) -> Finding:
    return Finding("media root", root.is_dir(), str(root.resolve()), "make it, or set RENDER_MEDIA_ROOTS")


def _placeholder(settings: Settings) -> Finding:
    path = RenderClipConfig().placeholder_asset_path
    there = any((root / path).is_file() for root in settings.media_roots)
    found = path if there else f"{path} lies under no media root: placeholders are plain black"
    return Finding("placeholder", fine=True, found=found)


def _kafka(settings: Settings) -> Iterator[Finding]:
    try:
        named = with_kafka(settings)
        mismatches = asyncio.run(find_mismatches(named))
    except (ClipfoldError, KafkaError, OSError, TimeoutError) as error:
        yield Finding("Kafka", fine=False, found=str(error), mend="clipfold kafka start")
        return
    yield Finding("Kafka", fine=True, found=named.kafka_bootstrap or "")
    yield Finding(
        "topics",
        not mismatches,
        "; ".join(f"{each.topic} {each.what}" for each in mismatches) or "as declared",
        "clipfold topics create",
    )
    yield _role(named, "worker", "nothing is cut until one runs")
    yield _role(named, "serve", "no snapshot is published until one runs")


def _role(settings: Settings, role: str, without: str) -> Finding:
    running = is_running(settings, role)
    found = "runs here" if running else f"does not run here: {without}; `clipfold {role}` starts it"
    return Finding(role, fine=True, found=found)
