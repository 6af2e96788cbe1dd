import json

from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.config import ConfigInForce, apply_record, default_config
from topics.codec import Poison

DEFAULT = default_config(clip_concurrency=6)


def applied(raw: bytes | None, current: ConfigInForce = DEFAULT, offset: int = 9) -> ConfigInForce:
    result = apply_record(current, DEFAULT, offset, raw)
    assert isinstance(result, ConfigInForce), result
    return result


def test_the_default_has_the_slots_of_the_environment_and_no_version() -> None:
    assert (DEFAULT.version, DEFAULT.config.max_parallelism) == (-1, 6)


def test_a_part_is_merged_and_its_offset_is_the_version() -> None:
    first = applied(b'{"max_parallelism": 2}', offset=4)
    second = applied(b'{"per_video_limit": 1}', first, offset=8)
    assert (second.version, second.config.max_parallelism, second.config.per_video_limit) == (8, 2, 1)


def test_a_tombstone_brings_the_default_back() -> None:
    changed = applied(b'{"max_parallelism": 2}')
    assert applied(None, changed, offset=10) == ConfigInForce(10, DEFAULT.config)


def test_a_record_that_is_wrong_in_any_way_changes_nothing() -> None:
    for raw in (
        b"not json",
        b"[]",
        b'{"max_parallelism": 65}',
        b'{"max_parallelism": "2"}',
        b'{"max_parallelism": 2.5}',
        b'{"max_parallelism": true}',
        b'{"max_parallelism": 2, "surprise": 1}',
        b'{"max_retry": 11}',
        b'{"placeholder_asset_path": ""}',
    ):
        assert isinstance(apply_record(DEFAULT, DEFAULT, 1, raw), Poison), raw


@given(
    st.binary(max_size=50) | st.dictionaries(st.text(), st.integers()).map(lambda d: json.dumps(d).encode())
)
def test_no_bytes_break_the_fold(raw: bytes) -> None:
    assert isinstance(apply_record(DEFAULT, DEFAULT, 1, raw), ConfigInForce | Poison)
