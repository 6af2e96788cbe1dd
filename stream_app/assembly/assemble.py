"""Assemble a mix: check the clips, add black, join, add the song, verify, publish.

The same order over the same files gives the same bytes, so a join that is done twice does no harm.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from hashlib import file_digest, sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

import av

from stream_app.assembly.join import join_clips
from stream_app.assembly.mux import mux
from stream_app.assembly.order import Assembled, AssembleOrder, Part, SongOrder
from stream_app.assembly.publish import publish, work_folder
from stream_app.assembly.song import samples_of
from stream_app.assembly.song_copy import copy_song
from stream_app.assembly.song_file import SongFile, measure_song
from stream_app.assembly.song_store import encoded_song
from stream_app.assembly.subtitles import subtitles
from stream_app.assembly.verify import Expected, verify_video
from stream_app.clip.encoding import make_black, timescale
from stream_app.clip.store import ClipStore
from stream_app.domain.errors import MixError, OwnFaultError
from stream_app.domain.frames import SECOND_MS, duration_ms, round_half_up
from topics.profile import RenderProfile
from topics.reasons import MixFailure

BLACK_CHUNK_S = 4
"""Length of the black clip that long fillers repeat: one encode, however long the fillers are."""


@dataclass(frozen=True, slots=True)
class _Clip:
    """A file of the join; long fillers are several of them."""

    path: Path
    frames: int


def prepare_song(order: SongOrder) -> None:
    """Encode the song of a mix, so that `assemble_mix` finds it done; nothing when it can be copied.

    Raises:
        MixError: `song_unavailable`, `song_invalid`.
        OwnFaultError: our disk or memory did not suffice; the same order may succeed later.
    """
    with _own_faults("the song could not be prepared"):
        song = measure_song(order.song_path)
        offset_ms, rate = order.song.offset_ms, order.profile.rate
        frames = order.frames + sum(part.frames for part in _outro(order.frames, song, offset_ms, rate))
        if not _is_copied(song, offset_ms):
            encoded_song(song, offset_ms, samples_of(frames, rate), ClipStore(order.songs_dir))


def assemble_mix(order: AssembleOrder) -> Assembled:
    """Make `video.mp4`, `manifest.json` and the sidecars of a mix in `order.out_dir`.

    The video appears last and whole, when all else is in its place. It ends with the last line or the song,
    whichever is later.

    Raises:
        MixError: `song_unavailable`, `song_invalid`, or `join_failed` when a clip is not what the order
            says or the result does not pass verification.
        OwnFaultError: our disk or memory did not suffice; the same order may succeed later.
    """
    with _own_faults(f"mix {order.mix_id} could not be written"):
        return _assemble(order)


@contextmanager
def _own_faults(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, MemoryError, av.FFmpegError) as error:
        # What a clip or the song did wrong is a MixError by now; the rest is ours.
        raise OwnFaultError(f"{what}: {error}; check disk and memory") from error


def _assemble(order: AssembleOrder) -> Assembled:
    rate = order.profile.rate
    for position, part in enumerate(order.parts):
        _check_file(part, position)
    song = measure_song(order.song_path) if order.song_path else None
    offset_ms = order.song.offset_ms if order.song else 0
    parts = (*order.parts, *_outro(order.frames, song, offset_ms, rate))
    frames = sum(part.frames for part in parts)
    with work_folder(order.out_dir) as work:
        clips = list(_clips(parts, order.profile, work))
        joined, video = work / "joined.mp4", work / "video.mp4"
        payload = join_clips([clip.path for clip in clips], [clip.frames for clip in clips], rate, joined)
        sound, digest = _sound(song, offset_ms, samples_of(frames, rate), work, order.songs_dir)
        mux(joined, sound, video, timescale=timescale(rate))
        joined.unlink()
        verify_video(video, Expected(order.profile, frames, song is not None, payload, digest))
        assembled = Assembled(
            path=order.out_dir / "video.mp4",
            sha256=_sha256(video),
            bytes=video.stat().st_size,
            frames=frames,
            duration_ms=duration_ms(frames, rate),
        )
        for name, text in _texts(order, parts, song, assembled):
            (work / name).write_text(text, encoding="utf-8")
            publish(work / name, order.out_dir / name)
        publish(video, assembled.path)
    return assembled


def _sound(
    song: SongFile | None, offset_ms: int, samples: int, work: Path, songs_dir: Path
) -> tuple[Path | None, str | None]:
    """The sound of the video as an MP4 with one AAC stream, and the hash of its packets when it is a copy."""
    if song is None:
        return None, None
    if not _is_copied(song, offset_ms):
        return encoded_song(song, offset_ms, samples, ClipStore(songs_dir)), None
    copy = work / "sound.mp4"
    return copy, copy_song(song, samples, copy)


def _is_copied(song: SongFile, offset_ms: int) -> bool:
    return song.can_be_copied and offset_ms == 0


def _check_file(part: Part, position: int) -> None:
    if part.path is None:
        return
    try:
        found = _sha256(part.path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MixError(
            MixFailure.JOIN_FAILED,
            f"part {position}: clip {part.path} is gone; a mix-revise with again: true has it cut once more",
        ) from error
    if found != part.sha256:
        message = f"part {position}: clip {part.path} has sha256 {found}, {part.sha256} was promised"
        raise MixError(MixFailure.JOIN_FAILED, message)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _outro(shown: int, song: SongFile | None, offset_ms: int, rate: Fraction) -> Iterator[Part]:
    """Black from the last line's end to the song's, when that is later."""
    if song is None:
        return
    song_end = round_half_up((Fraction(offset_ms, SECOND_MS) + song.length) * rate)
    if song_end > shown:
        yield Part(kind="filler", frames=song_end - shown)


def _clips(parts: Sequence[Part], profile: RenderProfile, work: Path) -> Iterator[_Clip]:
    """The files to join; black is made in `work`, each length once."""
    chunk = round_half_up(profile.rate * BLACK_CHUNK_S)
    for part in parts:
        if part.path is not None:
            yield _Clip(part.path, part.frames)
            continue
        whole, rest = divmod(part.frames, chunk)
        for frames in [chunk] * whole + [rest] * (rest > 0):
            path = work / f"black-{frames}.mp4"
            if not path.exists():
                make_black(profile, frames, path)
            yield _Clip(path, frames)


def _texts(
    order: AssembleOrder, parts: Sequence[Part], song: SongFile | None, assembled: Assembled
) -> Iterator[tuple[str, str]]:
    """Name and content of every text file beside the video."""
    sidecars = {f"video.{kind}": subtitles(order.lyrics, kind) for kind in order.sidecars}
    yield from sidecars.items()
    starts = accumulate((part.frames for part in parts), initial=0)
    manifest: dict[str, Any] = {
        "mix_id": order.mix_id,
        "revision": order.revision,
        "profile": order.profile.model_dump(),
        "frames": assembled.frames,
        "duration_ms": assembled.duration_ms,
        "sha256": assembled.sha256,
        "bytes": assembled.bytes,
        "song": {**order.song.model_dump(), "length_ms": song.length_ms} if order.song and song else None,
        "parts": [
            {"kind": part.kind, "start_frame": start, "frames": part.frames, "sha256": part.sha256}
            for start, part in zip(starts, parts, strict=False)
        ],
        "sidecars": {name: sha256(text.encode()).hexdigest() for name, text in sidecars.items()},
    }
    yield "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
