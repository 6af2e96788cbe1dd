"""Why things ended otherwise than wished: the closed sets of reasons that events carry."""

from enum import StrEnum


class FallbackReason(StrEnum):
    """Why an attempt at a candidate failed, and so why a line may end in a placeholder."""

    NO_CANDIDATES = "no_candidates"
    """The line has no candidate at all."""

    CDN_ERROR = "cdn_error"
    """A server answered, but with an error status, a redirect loop, or short, changed or too slow data."""

    CDNS_UNREACHABLE = "cdns_unreachable"
    """No server could be talked to: name, connect, TLS, no answer in time."""

    SOURCE_REFUSED = "source_refused"
    """The guard forbids the address or the path, or it is no regular file."""

    SOURCE_MISSING = "source_missing"
    """The local path does not exist or cannot be read."""

    SOURCE_INVALID = "source_invalid"
    """A whole body or file that is not decodable as video, or beyond the size limits."""

    SOURCE_TOO_SHORT = "source_too_short"
    """`start_ms` plus the line's frames is past the end of the source."""

    CUT_FAILED = "cut_failed"
    """The cutter failed, ran out of its time limit, or made what verification refused."""

    DEADLINE_EXCEEDED = "deadline_exceeded"
    """The mix's time was up."""


class MixFailure(StrEnum):
    """Why a whole mix failed."""

    SONG_UNAVAILABLE = "song_unavailable"
    """The song could not be had: missing, refused or unreadable."""

    SONG_INVALID = "song_invalid"
    """The song is there but has no audio that decodes."""

    JOIN_FAILED = "join_failed"
    """The clips could not be joined into a video that passes verification."""
