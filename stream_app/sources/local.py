"""From a candidate's `uri` to a local file that may be read."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stream_app.domain.errors import SourceError
from topics.reasons import FallbackReason


def resolve_local(uri: str, roots: Sequence[Path]) -> Path:
    """The regular file behind `uri`, with every link resolved.

    Args:
        uri: `file:///absolute` (percent-encoded), or a path relative to one of `roots`, taken literally.
        roots: the folders under which sources may lie; for a relative path the first that has it counts.

    Raises:
        SourceError: `source_refused` for what lies outside the roots or is no regular file,
            `source_missing` for what is not there or not readable.
    """
    resolved = [Path(os.path.realpath(root)) for root in roots]
    refusal: SourceError | None = None
    for path in _places(uri, resolved):
        try:
            return _readable(Path(os.path.realpath(path, strict=True)), resolved, uri)
        except SourceError as error:
            refusal = refusal or error
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            refusal = refusal or _refuse(FallbackReason.SOURCE_MISSING, f"{uri!r} cannot be read: {error}")
    raise refusal or _refuse(
        FallbackReason.SOURCE_MISSING, f"{uri!r} does not exist under {', '.join(map(str, roots))}"
    )


def _places(uri: str, roots: Sequence[Path]) -> list[Path]:
    scheme = uri.partition("://")[0].lower() if "://" in uri else ""
    if scheme in ("http", "https"):
        raise _refuse(
            FallbackReason.SOURCE_REFUSED, f"{uri!r} is on the network where a local file is needed"
        )
    if scheme == "file" or uri.lower().startswith("file:"):
        return [_file_path(uri)]
    if scheme:
        raise _refuse(FallbackReason.SOURCE_REFUSED, f"{uri!r} has a scheme that is not http, https or file")
    if Path(uri).is_absolute():
        raise _refuse(
            FallbackReason.SOURCE_REFUSED,
            f"{uri!r} is absolute: write file://... or a path under a media root",
        )
    return [root / uri for root in roots]


def _file_path(uri: str) -> Path:
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or not path.startswith("/"):
        raise _refuse(
            FallbackReason.SOURCE_REFUSED,
            f"{uri!r} is not file:///absolute/path; write ? as %3F and # as %23, and name no host",
        )
    return Path(path)


def _readable(path: Path, roots: Sequence[Path], uri: str) -> Path:
    if not any(path.is_relative_to(root) for root in roots):
        raise _refuse(
            FallbackReason.SOURCE_REFUSED, f"{uri!r} leads outside the media roots (RENDER_MEDIA_ROOTS)"
        )
    if not stat.S_ISREG(path.stat().st_mode):
        raise _refuse(FallbackReason.SOURCE_REFUSED, f"{uri!r} is no regular file")
    if not os.access(path, os.R_OK):
        raise _refuse(FallbackReason.SOURCE_MISSING, f"{uri!r} may not be read by this user")
    return path


def _refuse(reason: FallbackReason, message: str) -> SourceError:
    return SourceError(reason, message, stage="resolve")
