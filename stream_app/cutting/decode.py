"""Gets exactly the wanted frames out of a source, or says that they cannot be had.

A container's seek is only a hint: it may land late, and a decoder that starts in the middle shows grey or old
picture without a word. So every frame is taken by its own presentation time, a landing that cannot give the
first wanted frame is repeated from earlier, and nothing that depends on damage is handed out.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import cast

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from stream_app.cutting.damage import REORDER, TRUSTING_DECODERS, ZEROS, complaints
from stream_app.cutting.deinterlace import SourceFrame, deinterlaced
from stream_app.cutting.h264 import is_idr
from stream_app.cutting.index import SourceIndex, open_source, packets_of
from stream_app.cutting.orders import ABSENT
from stream_app.domain.errors import SourceError
from topics.reasons import FallbackReason

LANDINGS_S = (0, 2, 10, None)
"""How far before the first wanted frame to land, in seconds; None is the start of the file."""


SKIPPING_CODECS = frozenset({"h264", "mpeg2video"})
"""Whose "non-reference" frames nothing refers to, and whose decoders may be told so from packet to packet.

HEVC's may be referred to by higher layers, and dav1d loses its way.
"""

FAREWELL = "mmco: unref short failure"
"""FFmpeg's word for H.264 data that let go of a picture which is not there."""


class _UnusableError(Exception):
    """A wanted frame does not come out, or only out of damage."""


class AbsentBytesError(SourceError):
    """A frame needs bytes of the source that were not fetched: try again with the whole of it."""


def decode_wanted(index: SourceIndex, wanted: Sequence[int]) -> Iterator[SourceFrame]:
    """Yield the frame of each pts of `wanted` (sorted, each once), in order.

    Raises:
        SourceError: `cut_failed`, when one of them does not come out, or only out of damaged data.
    """
    if index.damage.hits(wanted[0]):
        raise _failed(index, f"its data are damaged at {index.clock.ms(wanted[0])} ms")
    complaint, key = "", wanted[0] + 1
    for landing in LANDINGS_S:
        with open_source(index.path) as container:
            run = _Run(index, container, wanted)
            # A landing on the keyframe of the last one would end as that did.
            frames = _wanted_only(deinterlaced(run.frames(landing, before=key)), wanted, index)
            try:
                first = next(frames)
            except (_UnusableError, av.FFmpegError) as error:
                complaint = str(error)
                key = key if run.landed_at is None else min(key, run.landed_at)
                continue
            yield first
            try:
                yield from frames
            except (_UnusableError, av.FFmpegError) as error:
                raise _failed(index, str(error)) from error
            return
    raise _failed(index, complaint)


def _wanted_only(
    frames: Iterator[SourceFrame], wanted: Sequence[int], index: SourceIndex
) -> Iterator[SourceFrame]:
    position = 0
    for frame in frames:
        if frame.pts > wanted[position]:
            break
        if index.damage.hits(frame.pts):
            raise _UnusableError(f"its data are damaged at {index.clock.ms(frame.pts)} ms")
        if frame.pts == wanted[position]:
            yield frame
            position += 1
            if position == len(wanted):
                return
    raise _UnusableError(f"the frame at {index.clock.ms(wanted[position])} ms does not decode")


class _Run:
    """One pass of the decoder from a landing on, in which damage is noticed."""

    def __init__(self, index: SourceIndex, container: InputContainer, wanted: Sequence[int]) -> None:
        self._index = index
        self._container = container
        self._stream = cast("VideoStream", container.streams[index.stream])
        self._wanted = frozenset(wanted)
        self._first = wanted[0]
        self._key: int | None = None
        """The last keyframe from which the first wanted frame is reached."""
        self._damage: int | None = None
        """The last damage before the first wanted frame."""
        self.landed_at: int | None = None
        """The first keyframe that came."""
        self._trusts = False
        """Whether the decoder makes a picture of anything."""
        self._farewells = 0
        """Packets that may still let go of a picture from before the landing."""

    def frames(self, landing_s: int | None, before: int) -> Iterator[av.VideoFrame]:
        """Yield what comes out, in order of presentation, from a landing `before` a pts on."""
        land(self._container, self._stream, self._index, min(self._first, before - 1), landing_s)
        context = self._stream.codec_context
        # Clips are what runs in parallel; and one thread decodes each packet at once, as `skip_frame` needs.
        context.thread_count = 1
        # The decoder then says what it would otherwise paint over.
        context.options = {"err_detect": "explode"}
        whole = context.name not in SKIPPING_CODECS
        self._trusts = context.name in TRUSTING_DECODERS
        for packet in packets_of(self._container, self._stream):
            self._note_keyframe(packet)
            self._check_presence(packet)
            self._check_place(packet)
            # A deinterlacer needs a frame's neighbours; otherwise what no other frame needs may be left out.
            needed = whole or packet.pts is None or packet.pts in self._wanted
            context.skip_frame = "DEFAULT" if needed else "NONREF"
            for frame in self._decode(packet):
                whole = whole or frame.interlaced_frame
                if frame.pts is not None and frame.pts >= self._first:
                    self._check_way()
                yield frame

    def _check_presence(self, packet: "av.Packet[VideoStream]") -> None:
        """What is not there reads as zeros, and a decoder might make a picture of them."""
        present = self._index.present
        if present is None or not packet.size or packet.pos is None:
            return
        start, stop = packet.pos, packet.pos + packet.size
        if not any(first <= start and stop <= last for first, last in present):
            raise AbsentBytesError(
                FallbackReason.CUT_FAILED,
                f"{self._index.origin}: bytes {start}-{stop} of it are needed and were not fetched",
                stage=ABSENT,
                retryable=True,
            )

    def _check_place(self, packet: "av.Packet[VideoStream]") -> None:
        """Where frames are only counted, a seek by a damaged index counts on from a wrong number."""
        if self._index.places is None or not packet.size or packet.pos is None:
            return
        positions, times = self._index.places
        place = bisect_left(positions, packet.pos)
        if place == len(positions) or (positions[place], times[place]) != (packet.pos, packet.pts):
            raise _UnusableError("its index leads elsewhere than it says")

    def _note_keyframe(self, packet: "av.Packet[VideoStream]") -> None:
        pts = packet.pts
        if not packet.is_keyframe or pts is None:
            return
        if self.landed_at is None:
            self.landed_at = pts
            context = self._stream.codec_context
            if context.name == "h264" and not is_idr(bytes(packet), context.extradata):
                self._farewells = REORDER
        if pts <= self._first:
            self._key = pts if self._key is None else max(self._key, pts)

    def _decode(self, packet: "av.Packet[VideoStream]") -> Iterator[av.VideoFrame]:
        if self._trusts and ZEROS in bytes(packet):
            self._note_damage(packet.pts)
            return
        try:
            frames = self._decoded(packet)
        except av.error.EOFError:
            return
        except av.FFmpegError:
            self._note_damage(packet.pts)
            return
        for frame in frames:
            if frame.is_corrupt:
                self._note_damage(frame.pts)
            elif frame.pts is not None:
                yield frame

    def _decoded(self, packet: "av.Packet[VideoStream]") -> list[av.VideoFrame]:
        """What a packet gives.

        In an open group of pictures the first packets let go of pictures from before the keyframe. That
        they were never decoded takes nothing away from what is: it is no damage, though FFmpeg calls it so.
        """
        if not self._farewells:
            return packet.decode()
        self._farewells -= 1
        with complaints() as said:
            try:
                return packet.decode()
            except av.error.InvalidDataError:
                if {what.strip() for _, _, what in said} != {FAREWELL}:
                    raise
                return []

    def _note_damage(self, pts: int | None) -> None:
        if pts is None or pts >= self._first:
            raise _UnusableError(f"its data are damaged{self._at(pts)}")
        self._damage = pts if self._damage is None else max(self._damage, pts)

    def _check_way(self) -> None:
        """Refuse the first wanted frame when the decoder did not come to it cleanly from a keyframe."""
        if self._key is None:
            raise _UnusableError(f"no keyframe comes before the frame{self._at(self._first)}")
        if self._damage is not None and self._damage >= self._key:
            raise _UnusableError(f"its data are damaged{self._at(self._damage)}")

    def _at(self, pts: int | None) -> str:
        return "" if pts is None else f" at {self._index.clock.ms(pts)} ms"


def land(
    container: InputContainer, stream: VideoStream, index: SourceIndex, first: int, landing_s: int | None
) -> None:
    """Have `container` go on at a keyframe at least `landing_s` before `first`, or so it says."""
    if landing_s is None:
        return
    target = first - int(landing_s / index.clock.time_base)
    if target > index.clock.pts[0]:
        container.seek(target, stream=stream)


def _failed(index: SourceIndex, complaint: str) -> SourceError:
    return SourceError(FallbackReason.CUT_FAILED, f"{index.origin}: {complaint}", stage="cut")
