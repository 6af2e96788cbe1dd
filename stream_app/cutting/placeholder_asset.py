"""The video that stands in for what cannot be cut: where it lies."""

from collections.abc import Sequence
from pathlib import Path

from stream_app.sources.local import resolve_local


def locate_asset(path: str, roots: Sequence[Path]) -> Path:
    """The regular file that a config's `placeholder_asset_path` names, with every link resolved.

    A relative path is looked up under each root; an absolute one has to lie under one of them.

    Raises:
        SourceError: it is not there, may not be read, or lies outside the roots.
    """
    return resolve_local(Path(path).as_uri() if Path(path).is_absolute() else path, roots)
