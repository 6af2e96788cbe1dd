"""`file:///` addresses of our own files, as events carry them."""

from pathlib import Path
from urllib.parse import unquote, urlsplit


def path_of(uri: str) -> Path:
    """The local path of a `file:///` address.

    Raises:
        ValueError: it is an address of another kind.
    """
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc:
        raise ValueError(f"{uri!r} is not a file:/// address")
    return Path(unquote(parts.path))
