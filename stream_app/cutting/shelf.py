"""Indexes of sources that cutting processes leave for one another: one of them reads a source through.

Reading through takes 20 us a packet: seconds for an hour of video, in every slot and after every restart. An
index lies among the temporary files of the store, beside the copies of sources, and is swept as they are.
"""

import hashlib
import os
import secrets
from array import array
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from stream_app.clip.encoding import METHOD_VERSION, encoder_build
from stream_app.clip.store import INDEX_PREFIX
from stream_app.cutting.index import FileIdentity, SourceIndex, read_index
from stream_app.domain.errors import OwnFaultError
from stream_app.sources.source_file import SourceFile

_INDEX = TypeAdapter(SourceIndex)


def shared_index(file: SourceFile, folder: Path, breaks: tuple[int, ...] = ()) -> SourceIndex:
    """The same as `index_source`, but read from `folder` when another process has left it there.

    Raises:
        SourceError: `source_invalid` or `source_missing`; such a source is read again by whoever asks.
        OwnFaultError: our disk is full.
    """
    return recent_index(FileIdentity.of(file), breaks, folder).part(file)


@lru_cache(maxsize=16)
def recent_index(identity: FileIdentity, breaks: tuple[int, ...], folder: Path) -> SourceIndex:
    """The index of a whole file; remembered."""
    what = repr((METHOD_VERSION, encoder_build(), identity, breaks))
    place = folder / f"{INDEX_PREFIX}{hashlib.sha256(what.encode()).hexdigest()[:32]}.json"
    index = _left(place)
    if index is None:
        index = read_index(identity, breaks)
        _leave(index, place)
    return index


def _left(place: Path) -> SourceIndex | None:
    # What a crash left half written is no JSON; it is then as if it were not there.
    with suppress(OSError, ValidationError):
        index = _INDEX.validate_json(place.read_bytes())
        os.utime(place)
        return _with_times(index, array("q", index.clock.pts))
    return None


def _leave(index: SourceIndex, place: Path) -> None:
    draft = place.with_name(f"{place.stem}-{secrets.token_hex(4)}")
    try:
        draft.write_bytes(_INDEX.dump_json(_with_times(index, list(index.clock.pts))))
        draft.replace(place)
    except OSError as error:
        raise OwnFaultError.of_disk(f"write {place}", error) from error
    finally:
        draft.unlink(missing_ok=True)


def _with_times(index: SourceIndex, times: "array[int] | list[int]") -> SourceIndex:
    """The same index, its times held so: in eight bytes each, or as JSON can be made of them."""
    return replace(index, clock=replace(index.clock, pts=times))
