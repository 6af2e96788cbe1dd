"""Take a song's own packets over where they are what a mix's sound has to be: nothing is lost by it."""

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
from av.audio.codeccontext import AudioCodecContext

from stream_app.assembly.song_file import AAC_FRAME, SAMPLE_RATE, SongFile


def copy_song(song: SongFile, samples: int, out: Path) -> str:
    """Write an MP4 with one AAC stream, as `encode_song` does, out of the packets that the song has already.

    Args:
        song: one that `can_be_copied`; it sounds from the first picture on.
        samples: how many there will be; a longer song is cut off, after a shorter one comes silence.
        out: the file to write.

    Returns:
        sha256 over its packets.

    Raises:
        OSError: `out` cannot be written.
    """
    payload = sha256()
    options = {"fflags": "+bitexact", "movie_timescale": str(SAMPLE_RATE)}
    with av.open(str(song.path)) as source, av.open(out, "w", format="mp4", options=options) as output:
        stream = source.streams.audio[0]
        copy = output.add_stream_from_template(stream)
        copy.metadata.clear()
        for packet in _until(samples, source.demux(stream)):
            payload.update(bytes(packet))
            packet.stream = copy
            output.mux(packet)
    return payload.hexdigest()


def _until(samples: int, packets: "Iterator[av.Packet[Any]]") -> "Iterator[av.Packet[Any]]":
    """The packets that begin before sample number `samples`, silence after the last; the last ends there."""
    end = 0
    for packet in packets:
        if not packet.size or packet.pts is None or packet.pts >= samples:
            break
        end = packet.pts + AAC_FRAME
        packet.duration = min(end, samples) - packet.pts
        yield packet
    for start in range(end, samples, AAC_FRAME):
        packet = av.Packet(_silence())
        packet.pts = packet.dts = start
        packet.duration = min(start + AAC_FRAME, samples) - start
        packet.time_base = Fraction(1, SAMPLE_RATE)
        yield packet


@lru_cache(maxsize=1)
def _silence() -> bytes:
    """A packet of silence, which does not depend on those around it."""
    encoder = AudioCodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "stereo", "fltp"
    frame = av.AudioFrame("fltp", "stereo", AAC_FRAME)
    frame.sample_rate = SAMPLE_RATE
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    # The first one also carries the encoder's name.
    return bytes([*encoder.encode(frame), *encoder.encode(frame), *encoder.encode(None)][-1])
