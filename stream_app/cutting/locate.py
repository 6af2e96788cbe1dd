"""Looks into a source without decoding: which of its bytes a cut reads, and when its video is shown."""

import re
from typing import cast

import av
from av.video.stream import VideoStream

from stream_app.cutting.damage import REORDER
from stream_app.cutting.decode import LANDINGS_S, land
from stream_app.cutting.frame_choice import choose_frames
from stream_app.cutting.index import SourceIndex, index_source, open_source, packets_of, video_stream
from stream_app.domain.errors import SourceError
from stream_app.sources.source_file import ByteSpan, Need, SourceFile, Times
from stream_app.sources.spans import union
from topics.reasons import FallbackReason

AFTERWARDS = REORDER + 2
"""Packets read beyond the last wanted frame: a decoder may hold so many back, and a deinterlacer looks at the
next frame."""

_PARAMETER_SETS = {
    "h264": re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67]"),
    "hevc": re.compile(rb"\x00\x00\x01[\x42\x43]"),
    "mpeg2video": re.compile(rb"\x00\x00\x01\xb3"),
}
"""What a transport stream's keyframes begin with: the sequence parameter set or header of the codec's
standard (ITU-T H.264 7.3.1, H.265 7.3.1.2, H.262 6.2.2)."""

NEAR_BYTES = 1 << 16
"""Spans that lie closer than this are asked for as one: a request costs more than 64 KiB do."""


def locate(file: SourceFile, need: Need) -> tuple[ByteSpan, ...] | None:
    """Which bytes of `file`, of which at least the index is there, a cut of `need` reads.

    Returns:
        Spans, sorted and apart; None when the index does not tell, as that of a fragmented file.

    Raises:
        SourceError: `source_invalid`; `source_too_short`, when the source does not reach so far.
    """
    try:
        index = index_source(file)
    except SourceError as error:
        # Without its media, a file whose index is spread among them looks empty.
        if error.reason is FallbackReason.SOURCE_INVALID and file.present is not None:
            return None
        raise
    wanted = sorted(
        set(choose_frames(index.clock, need.start_ms, need.frames, need.extend_frames, need.rate).pts)
    )
    for landing in LANDINGS_S:
        spans = _read_from(index, wanted, landing)
        if spans is not None:
            return union(spans, gap=NEAR_BYTES)
    return None


def measure(file: SourceFile) -> Times:
    """When the first video stream of `file` begins and ends, on the file's own clock.

    Raises:
        SourceError: `source_invalid` or `source_missing`.
    """
    clock = index_source(file).clock
    with open_source(file.path) as container:
        stream = video_stream(container, file.path)
        # Keyframes are shown in the order of the data: what follows the first one is not read again.
        keys = (packet.pts for packet in packets_of(container, stream) if _starts_afresh(packet, stream))
        first_key = next((pts for pts in keys if pts is not None), clock.end)
    return Times(clock.pts[0], clock.end, clock.time_base, first_key)


def _starts_afresh(packet: "av.Packet[VideoStream]", stream: VideoStream) -> bool:
    if not packet.size or packet.is_discard or not packet.is_keyframe:
        return False
    is_transport_stream = stream.container.format.name == "mpegts"
    parameter_set = _PARAMETER_SETS.get(stream.codec_context.name) if is_transport_stream else None
    # Where these have not come by yet, the demuxer of transport streams takes every packet for a keyframe.
    return parameter_set is None or parameter_set.search(bytes(packet)) is not None


def _read_from(index: SourceIndex, wanted: list[int], landing_s: int | None) -> list[ByteSpan] | None:
    """The bytes that a decoder reads which lands there; None when it lands behind the first wanted frame."""
    missing = set(wanted)
    spans: list[ByteSpan] = []
    afterwards = AFTERWARDS
    with open_source(index.path, parse=False) as container:
        stream = cast("VideoStream", container.streams[index.stream])
        land(container, stream, index, wanted[0], landing_s)
        for packet in container.demux(stream):
            if packet.pts is None or packet.pos is None or packet.size == 0:
                continue
            if not spans and (not packet.is_keyframe or packet.pts > wanted[0]):
                return None
            spans.append((packet.pos, packet.pos + packet.size))
            missing.discard(packet.pts)
            if not missing:
                afterwards -= 1
                if afterwards == 0:
                    break
    return None if missing else spans
