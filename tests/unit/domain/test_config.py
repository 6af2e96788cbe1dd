import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.config import (
    ConfigRecord,
    ConfigState,
    InvalidConfigError,
    Step,
    Verdict,
    apply_record,
    default_config,
    merged,
)
from topics.config import MAX_CONFIG_BYTES, RenderClipConfig

DEFAULT = default_config(clip_concurrency=6)
START = ConfigState(DEFAULT)

Typed = dict[str, Any] | bytes | None


def record(offset: int, value: Typed, **headers: int) -> ConfigRecord:
    raw = json.dumps(value).encode() if isinstance(value, dict) else value
    names = {name.replace("_", "-"): str(number) for name, number in headers.items()}
    return ConfigRecord(offset, raw, names)


def whole(**fields: Any) -> dict[str, Any]:
    return RenderClipConfig(**fields).model_dump()


def steps(records: Sequence[ConfigRecord], state: ConfigState = START) -> list[Step]:
    taken = []
    for each in records:
        taken.append(apply_record(state, DEFAULT, each))
        state = taken[-1].state
    return taken


def verdicts(records: Sequence[ConfigRecord]) -> list[str]:
    return [str(step.verdict) for step in steps(records)]


def test_the_default_has_the_slots_of_the_environment_and_no_version() -> None:
    assert (DEFAULT.version, DEFAULT.config.max_parallelism) == (-1, 6)


def test_a_part_is_merged_and_its_offset_is_the_version() -> None:
    first, second = steps([record(4, {"max_parallelism": 2}), record(8, {"per_video_limit": 1})])
    after = second.after
    assert (after.version, after.config.max_parallelism, after.config.per_video_limit) == (8, 2, 1)
    assert second.changes == {"per_video_limit": [2, 1]}
    assert not first.state.is_canonical


def test_a_whole_config_may_be_kept_alone() -> None:
    (step,) = steps([record(0, whole(max_retry=0))])
    assert step.state.is_canonical


def test_a_tombstone_brings_the_default_back_as_a_version_of_its_own() -> None:
    step = steps([record(4, {"max_parallelism": 2}), record(10, None)])[-1]
    assert (step.after.version, step.after.config) == (10, DEFAULT.config)
    assert not step.state.is_canonical  # compaction forgets tombstones


@pytest.mark.parametrize(
    "raw",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"max_parallelism": 65}',
        b'{"max_parallelism": "2"}',
        b'{"max_parallelism": 2.5}',
        b'{"max_parallelism": true}',
        b'{"max_parallelism": NaN}',
        b'{"max_parallelism": 2, "surprise": 1}',
        b'{"max_retry": 11}',
        b'{"placeholder_asset_path": ""}',
        b'{"max_retry": 1' + b" " * MAX_CONFIG_BYTES + b"}",
    ],
)
def test_a_record_that_is_wrong_in_any_way_changes_nothing(raw: bytes) -> None:
    good, bad = steps([record(0, whole(max_retry=1)), record(1, raw)])
    assert (bad.verdict, bad.after) == (Verdict.REFUSED, good.after)
    assert bad.error
    assert not bad.state.is_canonical  # compaction would keep the bad one alone


def test_every_error_of_a_change_is_told() -> None:
    wrong = {"max_parallelism": 0, "max_retry": "1", "surprise": 1, "clip_timeout_ms": True}
    with pytest.raises(InvalidConfigError) as refusal:
        merged(DEFAULT.config, wrong)
    assert {problem.field for problem in refusal.value.problems} == wrong.keys()


def test_a_message_of_very_many_errors_stays_short() -> None:
    with pytest.raises(InvalidConfigError) as refusal:
        merged(DEFAULT.config, {f"unknown-{number}": 1 for number in range(5000)})
    assert len(refusal.value.problems) == 5000
    assert len(str(refusal.value)) < 2000
    assert str(refusal.value).endswith("and 4980 more")


def test_of_two_changes_to_one_version_the_first_wins() -> None:
    one, other, retried = steps(
        [
            record(0, whole(max_retry=1), config_base=-1),
            record(1, whole(max_retry=2), config_base=-1),
            record(2, whole(max_retry=3), config_base=0),
        ]
    )
    assert [step.verdict for step in (one, other, retried)] == ["applied", "conflict", "applied"]
    assert (other.after, other.after.config.max_retry) == (one.after, 1)
    assert (retried.after.version, retried.after.config.max_retry) == (2, 3)


def test_what_is_typed_by_hand_always_counts() -> None:
    assert verdicts([record(0, whole(), config_base=-1), record(1, {"max_retry": 7})]) == ["applied"] * 2


def test_a_restatement_keeps_the_version_and_changes_nothing() -> None:
    records = [
        record(0, {"max_retry": 7}),
        record(1, whole(max_parallelism=6, max_retry=7), config_version=0, config_as_of=0),
        record(2, whole(max_parallelism=6, max_retry=7), config_version=0, config_as_of=0),
        record(3, whole(max_retry=1), config_base=0),
    ]
    typed, restated, again, changed = steps(records)
    assert (restated.verdict, restated.after, restated.changes) == ("restated", typed.after, {})
    assert (again.verdict, again.after, again.state.is_canonical) == ("restated", typed.after, True)
    assert not restated.is_news
    assert changed.verdict == "applied"


def test_who_starts_after_compaction_takes_the_restatement_with_its_version() -> None:
    (step,) = steps([record(9, whole(max_retry=7), config_version=4, config_as_of=8)])
    assert (step.verdict, step.after.version, step.after.config.max_retry) == ("restated", 4, 7)


def test_who_starts_after_compaction_takes_a_change_whose_base_is_gone() -> None:
    (step,) = steps([record(9, whole(max_retry=7), config_base=4)])
    assert (step.verdict, step.after.version) == ("applied", 9)


def test_who_took_a_change_wrongly_after_compaction_is_put_right() -> None:
    # To those who had read all, version 8 was in force when 9 came.
    late, restated = steps(
        [
            record(9, whole(max_retry=7), config_base=4),
            record(10, whole(max_retry=1), config_version=8, config_as_of=9),
        ]
    )
    assert late.after.version == 9
    assert (restated.after.version, restated.after.config.max_retry) == (8, 1)


def test_a_restatement_that_missed_a_change_is_void() -> None:
    records = [
        record(0, {"max_retry": 7}),
        record(1, {"max_retry": 8}),
        record(2, whole(max_retry=7), config_version=0, config_as_of=0),
    ]
    last = steps(records)[-1]
    assert (last.verdict, last.after.version, last.after.config.max_retry) == ("outdated", 1, 8)
    assert not last.state.is_canonical  # so that it is restated anew


def test_a_version_may_be_brought_back() -> None:
    before, bad, back = steps(
        [
            record(0, whole(max_retry=1)),
            record(1, {"placeholder_asset_path": "gone.mp4"}),
            record(2, whole(max_retry=1), config_version=0, config_as_of=1),
        ]
    )
    assert (back.after, back.is_news) == (before.after, True)
    (late,) = steps([record(3, whole(), config_base=1)], back.state)
    assert (bad.after.version, late.verdict) == (1, "conflict")


def test_each_process_has_its_own_default() -> None:
    (step,) = steps([record(1, whole(max_parallelism=4), config_version=-1, config_as_of=0)])
    assert step.after == DEFAULT


@pytest.mark.parametrize(
    "headers",
    [
        {"config_version": 5, "config_as_of": 3},
        {"config_version": 2},
        {"config_version": 2, "config_as_of": 9},
        {"config_version": -2, "config_as_of": 3},
    ],
)
def test_a_restatement_of_nothing_is_refused(headers: dict[str, int]) -> None:
    assert verdicts([record(4, whole(), **headers)]) == ["refused"]


def test_a_base_to_come_is_none() -> None:
    assert verdicts([record(4, whole(), config_base=4)]) == ["conflict"]


def test_a_header_that_is_no_number_is_refused() -> None:
    assert apply_record(START, DEFAULT, ConfigRecord(1, b"{}", {"config-base": "x"})).verdict == "refused"


offsets = st.integers(-2, 12).map(str)
values = st.one_of(
    st.none(),
    st.binary(max_size=30),
    st.builds(lambda n: json.dumps({"max_retry": n}).encode(), st.integers(-1, 12)),
    st.builds(lambda n: json.dumps(whole(max_retry=n)).encode(), st.integers(0, 10)),
)
headers_given = st.dictionaries(
    st.sampled_from(["config-base", "config-version", "config-as-of"]), offsets | st.text(max_size=3)
)


@given(st.lists(st.tuples(values, headers_given), max_size=12))
def test_no_record_breaks_the_fold_and_a_restatement_puts_every_reader_right(
    told: list[tuple[bytes | None, dict[str, str]]],
) -> None:
    records = [ConfigRecord(offset, value, headers) for offset, (value, headers) in enumerate(told)]
    state = steps(records)[-1].state if records else START
    end = len(records)
    restated = record(end, state.in_force.config.model_dump(), config_version=state.in_force.version)
    restated = ConfigRecord(end, restated.value, {**restated.headers, "config-as-of": str(end - 1)})
    if end:
        # However much of the log compaction has left to a reader, after a restatement all agree.
        for first in range(end + 1):
            assert steps([*records[first:], restated])[-1].after == state.in_force
