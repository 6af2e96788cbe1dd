"""Encoded songs by what they were made of: the same song at the same place is encoded once.

Encoding three minutes of AAC takes some seconds of one core, as long as everything else in a join together; a
revision or a repeat of a mix needs the very same sound again.
"""

import hashlib
import json
from pathlib import Path

from stream_app.assembly.song import BIT_RATE, encode_song
from stream_app.assembly.song_file import SAMPLE_RATE, SongFile
from stream_app.clip.store import ClipStore

METHOD_VERSION = 1
"""Raise it whenever the same song would come out otherwise: what was encoded before is then not recalled."""


def encoded_song(song: SongFile, offset_ms: int, samples: int, store: ClipStore) -> Path:
    """The sound of a mix as an MP4 with one AAC stream; recalled from `store`, or made and kept there.

    Args:
        song: what is to be heard.
        offset_ms: when its first sample sounds; below 0 cuts so much off its head.
        samples: how many there will be, silence after the song included.
        store: where encoded songs are kept.

    Raises:
        MixError: `song_invalid`, see `encode_song`.
        OwnFaultError: the disk is full.
    """
    recipe = _recipe(song, offset_ms, samples)
    if (known := store.recall(recipe)) is not None:
        return known[0].path
    out = store.temporary()
    try:
        encode_song(song, offset_ms, samples, out)
        made = store.put(out)
    finally:
        out.unlink(missing_ok=True)
    store.remember(recipe, made, {})
    return made.path


def _recipe(song: SongFile, offset_ms: int, samples: int) -> str:
    with song.path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    record = ["song", METHOD_VERSION, content, song.priming, offset_ms, samples, SAMPLE_RATE, BIT_RATE]
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()
