"""Put the joined picture and the encoded song into one file that can play while it is still loading."""

from collections.abc import Iterator
from contextlib import ExitStack
from heapq import merge
from pathlib import Path
from typing import Any

import av
from av.packet import Packet


def mux(video: Path, song: Path | None, out: Path, *, timescale: int) -> None:
    """Copy the packets of `video`, and of `song` when there is one, into a faststart MP4.

    Nothing is cut to the shorter of the two: both were made to one length, and cutting copied video
    drops frames.

    Args:
        video: an MP4 with one video stream.
        song: an MP4 with one audio stream; `None` gives a file without an audio stream.
        out: the file to write.
        timescale: ticks a second of the video track.

    Raises:
        OSError: `out` cannot be written, or an input not be read.
    """
    options = {
        "movflags": "+faststart",
        "video_track_timescale": str(timescale),
        "movie_timescale": str(timescale),
        "fflags": "+bitexact",
    }
    with ExitStack() as stack:
        sources = [stack.enter_context(av.open(path)) for path in (video, song) if path is not None]
        output = stack.enter_context(av.open(out, "w", format="mp4", options=options))
        tracks = [_copied(source, output) for source in sources]
        for _, packet in merge(*tracks, key=lambda item: item[0]):
            output.mux(packet)


def _copied(
    source: av.container.InputContainer, output: av.container.OutputContainer
) -> Iterator[tuple[float, "Packet[Any]"]]:
    """The packets of a source's only stream, for its copy in `output`, with their decoding times (s)."""
    stream = source.streams[0]
    copy = output.add_stream_from_template(stream)
    copy.time_base = stream.time_base
    copy.metadata.clear()
    return _packets(source, stream, copy)


def _packets(
    source: av.container.InputContainer, stream: av.stream.Stream, copy: av.stream.Stream
) -> Iterator[tuple[float, "Packet[Any]"]]:
    tick = float(stream.time_base or 1)
    for packet in source.demux(stream):
        if packet.size and packet.dts is not None:
            packet.stream = copy
            yield packet.dts * tick, packet
