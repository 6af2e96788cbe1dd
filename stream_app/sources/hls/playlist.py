"""What a playlist says: variants, or segments with their addresses, keys and nominal lengths. No I/O."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

import m3u8

from stream_app.domain.errors import SourceError
from stream_app.sources.shown import shown
from stream_app.sources.source_file import ByteSpan
from topics.reasons import FallbackReason

MAX_PLAYLIST_BYTES = 4 * 2**20
"""A day in segments of 2 s, with signed addresses of 90 bytes each."""

MAX_SEGMENTS = 50_000

MAX_SEGMENT_S = 86_400

KEY_BYTES = 16

US = 1_000_000

_BOM = b"\xef\xbb\xbf"
_HEAD = b"#EXTM3U"

_TAGS = (
    "#EXT-X-STREAM-INF",
    "#EXT-X-PLAYLIST-TYPE",
    "#EXT-X-MEDIA-SEQUENCE",
    "#EXT-X-I-FRAMES-ONLY",
    "#EXT-X-ENDLIST",
    "#EXT-X-DISCONTINUITY",
    "#EXT-X-KEY",
    "#EXT-X-MAP",
    "#EXT-X-BYTERANGE",
    "#EXT-X-GAP",
    "#EXTINF",
)
"""All that matters here. The parser gets nothing else: it would refuse a whole playlist for an odd date."""


@dataclass(frozen=True)
class Key:
    """AES-128 in CBC mode, over the whole of a segment."""

    url: str
    iv: bytes


@dataclass(frozen=True)
class Resource:
    """An address, or some bytes of what is there, encrypted when there is a `key`."""

    url: str
    span: ByteSpan | None = None
    key: Key | None = None


@dataclass(frozen=True)
class Segment:
    """One piece of the stream.

    Attributes:
        number: its media sequence number.
        length: as the playlist has it, in seconds: near the truth, not more.
        group: how many discontinuities come before it; each group of segments has a clock of its own.
        media: where it is.
        map: what has to come before it in a file (fMP4); None for MPEG-TS.
        is_gap: the playlist itself says that it is missing.
    """

    number: int
    length: Fraction
    group: int
    media: Resource
    map: Resource | None = None
    is_gap: bool = False


@dataclass(frozen=True)
class MediaPlaylist:
    """A whole recording, in order."""

    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Variant:
    """One rendition of a recording; 0 and "" stand for what the playlist does not say."""

    url: str
    bandwidth: int = 0
    width: int = 0
    height: int = 0
    codecs: str = ""
    range: str = ""


@dataclass(frozen=True)
class MasterPlaylist:
    """The renditions of one recording."""

    variants: tuple[Variant, ...]


def is_playlist(head: bytes) -> bool:
    """Whether a file that begins with `head`, 11 bytes or more, is a playlist."""
    head = head.removeprefix(_BOM)
    return head.startswith(_HEAD) and head[len(_HEAD) : len(_HEAD) + 1] in (b"", b"\n", b"\r", b" ", b"\t")


# Every line of a mix asks for the same playlist again.
@lru_cache(maxsize=8)
def read_playlist(data: bytes, url: str) -> MasterPlaylist | MediaPlaylist:
    """Read a playlist.

    Args:
        data: its bytes.
        url: where it came from in the end, which relative addresses in it start from.

    Raises:
        SourceError: `source_invalid`: it cannot be read, is too long, live, of key frames only or protected
            otherwise than by AES-128; `source_refused`: it leads elsewhere than http(s).
    """
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        raise invalid(url, "is not written in UTF-8") from error
    if len(data) > MAX_PLAYLIST_BYTES:
        raise invalid(url, f"has more than {MAX_PLAYLIST_BYTES} bytes")
    if "\n#EXT-X-DEFINE" in text:
        raise invalid(url, "has variables (EXT-X-DEFINE), which are not supported")
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#") or line.startswith(_TAGS))
    if kept.count("#EXTINF") > MAX_SEGMENTS:
        raise invalid(url, f"has more than {MAX_SEGMENTS} segments")
    try:
        parsed = m3u8.parse(kept, custom_tags_parser=_note_key)
        if parsed["is_variant"]:
            return MasterPlaylist(tuple(_variant(entry, url) for entry in parsed["playlists"]))
        return _media_playlist(parsed, url)
    except (m3u8.ParseError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as error:
        raise invalid(url, f"cannot be read: {type(error).__name__} {error}"[:200]) from error


def invalid(url: str, what: str) -> SourceError:
    """The refusal of a playlist: `what` completes "the playlist URL ..."."""
    return SourceError(FallbackReason.SOURCE_INVALID, f"the playlist {shown(url)} {what}", stage="playlist")


def _note_key(line: str, _lineno: int, data: dict[str, Any], state: dict[str, Any]) -> bool:
    """Keep for each segment the key that its map was encrypted with: the one in force at the map's line."""
    if line.startswith("#EXT-X-MAP"):
        state["map_key"] = state.get("current_key")
    elif line.startswith("#EXTINF"):
        state.setdefault("segment", {})["map_key"] = state.get("map_key")
    # The parser collects all keys and compares each with all before it, which nobody here needs.
    data["keys"].clear()
    return False


def _variant(entry: dict[str, Any], url: str) -> Variant:
    told = entry["stream_info"]
    width, _, height = str(told.get("resolution", "0x0")).strip('"').lower().partition("x")
    return Variant(
        url=_absolute(entry["uri"], url),
        bandwidth=int(told.get("bandwidth", 0)),
        width=int(width),
        height=int(height),
        codecs=str(told.get("codecs", "")),
        range=str(told.get("video_range", "")),
    )


def _media_playlist(parsed: dict[str, Any], url: str) -> MediaPlaylist:
    if parsed["is_i_frames_only"]:
        raise invalid(url, "has key frames only, not the whole video")
    if not parsed["is_endlist"] and parsed["playlist_type"] != "vod":
        raise invalid(url, "is of a live stream (no EXT-X-ENDLIST): its times have no fixed start")
    segments: list[Segment] = []
    group = 0
    ends: dict[str, int] = {}
    for number, entry in enumerate(parsed["segments"], parsed["media_sequence"]):
        if "uri" not in entry:
            continue
        group += bool(entry["discontinuity"] and segments)
        address = _absolute(entry["uri"], url)
        media = Resource(
            address, _span(entry.get("byterange"), ends, address), _key(entry.get("key"), url, number)
        )
        segments.append(
            Segment(
                number=number,
                length=_length(entry["duration"]),
                group=group,
                media=media,
                map=_map(entry, url),
                is_gap=bool(entry["gap_tag"]),
            )
        )
    if not segments:
        raise invalid(url, "has no segments")
    return MediaPlaylist(tuple(segments))


def _length(seconds: float) -> Fraction:
    if not 0 <= seconds <= MAX_SEGMENT_S:
        raise ValueError(f"a segment of {seconds} s")
    return Fraction(round(seconds * US), US)


def _span(text: str | None, ends: dict[str, int], address: str) -> ByteSpan | None:
    """`count[@start]`; without a start it goes on where the last one of that address ended."""
    if text is None:
        return None
    count, _, start = text.strip('" ').partition("@")
    first = int(start) if start else ends.get(address, 0)
    if int(count) <= 0 or first < 0:
        raise ValueError(f"a byte range {text!r}")
    ends[address] = first + int(count)
    return first, ends[address]


def _map(entry: dict[str, Any], url: str) -> Resource | None:
    told = entry.get("init_section")
    if told is None:
        return None
    address = _absolute(told["uri"], url)
    return Resource(address, _span(told.get("byterange"), {}, address), _key(entry["map_key"], url, None))


def _key(told: dict[str, str] | None, url: str, number: int | None) -> Key | None:
    method = (told or {}).get("method", "NONE")
    if told is None or method == "NONE":
        return None
    if method != "AES-128" or told.get("keyformat", "identity") != "identity":
        raise invalid(
            url, f"is protected ({method}, {told.get('keyformat', 'identity')}): only AES-128 is not"
        )
    if "iv" in told:
        iv = int(told["iv"], 16).to_bytes(KEY_BYTES, "big")
    elif number is None:
        raise invalid(url, "has an encrypted EXT-X-MAP without an IV")
    else:
        iv = number.to_bytes(KEY_BYTES, "big")
    return Key(_absolute(told["uri"], url), iv)


def _absolute(uri: str, url: str) -> str:
    address = urljoin(url, uri.strip())
    if urlsplit(address).scheme not in ("http", "https"):
        raise SourceError(
            FallbackReason.SOURCE_REFUSED,
            f"the playlist {shown(url)} leads to {shown(address)}, which is not http(s)",
            stage="playlist",
        )
    return address
