"""Clips whose every frame carries its own number, and songs whose clicks are at known samples."""

import hashlib
import subprocess
import wave
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from stream_app.assembly.order import Part
from stream_app.clip.encoding import ClipWriter
from topics.profile import Quality, RenderProfile

WIDTH, HEIGHT = 256, 32
BITS, BLOCK = 16, 16
CLICK_SAMPLES = 24
"""Half a ms at 48 kHz: short enough to be a moment, long enough to survive AAC."""


def small_profile(fps: str = "30", quality: Quality = "standard") -> RenderProfile:
    return RenderProfile(width=WIDTH, height=HEIGHT, fps=fps, quality=quality)


def numbered_picture(number: int) -> av.VideoFrame:
    """A picture that shows `number` as white and black blocks, lowest bit first."""
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[:HEIGHT] = 16
    for bit in range(BITS):
        if number >> bit & 1:
            planes[:HEIGHT, bit * BLOCK : (bit + 1) * BLOCK] = 235
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def number_on(picture: av.VideoFrame) -> int:
    luma = picture.to_ndarray()[:HEIGHT]
    blocks = [luma[:, bit * BLOCK + 4 : (bit + 1) * BLOCK - 4].mean() > 125 for bit in range(BITS)]
    return sum(int(white) << bit for bit, white in enumerate(blocks))


def write_numbered(path: Path, first: int, frames: int, profile: RenderProfile) -> Path:
    with ClipWriter(path, profile) as writer:
        for number in range(first, first + frames):
            writer.add(numbered_picture(number))
    return path


def write_parts(folder: Path, lengths: Sequence[int], profile: RenderProfile) -> list[Part]:
    """Clips of these lengths, numbered through from 0."""
    folder.mkdir(exist_ok=True)
    parts = []
    for index, (first, frames) in enumerate(zip(accumulate(lengths, initial=0), lengths, strict=False)):
        path = write_numbered(folder / f"clip_{index}.mp4", first, frames, profile)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        parts.append(Part(kind="clip", frames=frames, path=path, sha256=digest))
    return parts


def read_numbers(path: Path) -> list[tuple[int, Fraction]]:
    """Number and time (s) of every frame that comes out of a video."""
    with av.open(path) as video:
        stream = video.streams.video[0]
        return [(number_on(frame), frame.pts * stream.time_base) for frame in video.decode(stream)]


def read_sound(path: Path) -> NDArray[np.int16]:
    """What is heard from time 0, mono at 48 kHz."""
    with av.open(path) as source:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
        frames = list(source.decode(audio=0))
        assert frames[0].pts == 0
        chunks = [part for frame in [*frames, None] for part in resampler.resample(frame)]
        return np.concatenate([chunk.to_ndarray()[0] for chunk in chunks])


def click_starts(sound: NDArray[np.int16]) -> list[int]:
    """Sample at which each click starts: where a click-shaped window fits best."""
    window = np.convolve(np.abs(sound.astype(float)), np.ones(CLICK_SAMPLES), "valid")
    loud = np.flatnonzero(window > 0.5 * CLICK_SAMPLES * 20_000)
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > 1000) + 1) if loud.size else []
    return [int(group[0] + np.argmax(window[group[0] : group[-1] + 1])) for group in groups]


def write_clicks(path: Path, clicks_ms: Sequence[int], length_ms: int) -> Path:
    """A 48 kHz stereo wav, silent but for a click at each of the times; other kinds are converted from it."""
    sound = np.zeros((length_ms * 48, 2), np.int16)
    for at_ms in clicks_ms:
        sound[at_ms * 48 : at_ms * 48 + CLICK_SAMPLES] = 20_000
    plain = path.with_suffix(".wav")
    with wave.open(str(plain), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(sound.tobytes())
    if path != plain:
        codec = ("-c:a", "aac") if path.suffix in (".ts", ".mka") else ()
        ffmpeg("-i", str(plain), *codec, "-b:a", "192k", str(path))
    return path


def ffmpeg(*arguments: str) -> None:
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments], check=True, timeout=60
    )
