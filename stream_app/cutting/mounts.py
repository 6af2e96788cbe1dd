"""What can be seen from inside a sandbox: programs and sources to read, the store to write, nothing else."""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

import stream_app
import topics

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/ld-musl-x86_64.path", "/etc/alternatives", "/etc/fonts")
"""Where the dynamic linker finds libraries, and where fonts lie. No names of users, no keys, no resolver."""

# To the kernel, root without any capability is still the owner of these, and of the machine through them.
_ROOT_OWNS = ("sys", "sysrq-trigger", "fs", "acpi", "scsi", "mtrr")

TEMPORARY = "/dev/shm"  # noqa: S108 - the sandbox's own, in memory and empty
"""Where temporary files go. Not `/tmp`, which may be a media root."""

View = tuple[tuple[Path, int, int], ...]


@dataclass(frozen=True)
class Mounts:
    """What a sandbox shows. Paths are looked up anew for each process: folders come and go.

    Attributes:
        readable: folders and files to read, with all that is under them; those that are not there are left
            out.
        secret: files under them that are shown empty.
        store: the one folder to write.
    """

    readable: tuple[Path, ...]
    secret: tuple[Path, ...]
    store: Path

    def view(self) -> View:
        """What a sandbox that is made now shows; another value later means that it shows too little."""
        looked_up = ((path, _status(path)) for path in (*self.readable, *self.secret, self.store))
        return tuple((path, status.st_dev, status.st_ino) for path, status in looked_up if status)

    def options(self) -> list[str]:
        """The arguments of bubblewrap.

        A mount hides what was mounted below it before, so each comes after those of the folders above it.
        """
        visible = [path for path in (*program_paths(), *self.readable) if _status(path)]
        shown = dict.fromkeys(path.resolve() for path in visible)
        store = self.store.resolve()
        links = {place: target for path in visible for place, target in links_on(path)}
        working_folder = Path.cwd()
        places = [
            (Path("/proc"), ["--proc", "/proc"]),
            (Path("/dev"), ["--dev", "/dev"]),
            *((path, ["--tmpfs", str(path)]) for path in _scratch(shown)),
            *((path, ["--ro-bind", str(path), str(path)]) for path in shown),
            *(
                (place, ["--symlink", target, str(place)])
                for place, target in links.items()
                if not any(place.is_relative_to(path) for path in shown)
            ),
            (store, ["--bind-try", str(store), str(store)]),
            *((path, ["--ro-bind", "/dev/null", str(path)]) for path in self._secrets(list(shown))),
            *((path, ["--ro-bind", str(path), str(path)]) for path in _owned_by_root()),
            (working_folder, ["--dir", str(working_folder)]),
        ]
        places.sort(key=lambda place: len(place[0].parts))
        return [
            *(option for _, options in places for option in options),
            *("--remount-ro", "/"),
            *("--chdir", str(working_folder)),
        ]

    def _secrets(self, shown: list[Path]) -> Iterator[Path]:
        for path in dict.fromkeys(secret.resolve() for secret in self.secret if _status(secret)):
            if any(path.is_relative_to(folder) for folder in shown):
                yield path


def program_paths() -> Iterator[Path]:
    """What runs a cut: the system's libraries, Python with its packages, our code, ffmpeg.

    Of a source checkout only the packages: beside them lies what is nobody's business.
    """
    yield from map(Path, SYSTEM)
    yield from map(Path, SYSTEM_FILES)
    yield from map(Path, (sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix))
    yield Path(sys.executable)
    yield from (Path(entry) for entry in sys.path if entry.endswith("-packages"))
    for package in (stream_app, topics):
        yield from map(Path, package.__path__)
    ffmpeg = ffmpeg_program()
    if ffmpeg is not None:
        yield ffmpeg


def ffmpeg_program() -> Path | None:
    """The ffmpeg that the cutting processes use; None without one."""
    try:
        found = shutil.which(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        return None
    return Path(found) if found else None


def links_on(path: Path) -> Iterator[tuple[Path, str]]:
    """Every symbolic link that is followed on the way to an existing `path`, with what is written in it."""
    here = Path("/")
    ahead = list(reversed(path.absolute().parts[1:]))
    while ahead:
        part = ahead.pop()
        if part == "..":
            here = here.parent
            continue
        step = here / part
        if not step.is_symlink():
            here = step
            continue
        target = step.readlink()
        yield step, str(target)
        here = Path("/") if target.is_absolute() else here
        ahead.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))


def _scratch(shown: Iterable[Path]) -> Iterator[Path]:
    """An empty `/tmp`, but where sources may lie in it."""
    place = Path("/tmp")  # noqa: S108 - not ours, one of the sandbox
    if not any(place.is_relative_to(path) for path in shown):
        yield place


def _owned_by_root() -> Iterator[Path]:
    if os.geteuid() == 0:
        yield from (path for name in _ROOT_OWNS if (path := Path("/proc") / name).exists())


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
