"""The topic stays whole, whatever is typed into it and whoever keeps it."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from stream_app.config.service import StaleVersionError
from stream_app.domain.config import ConfigInForce
from stream_app.settings import Settings
from tests.integration.config.conftest import (
    Process,
    Typist,
    after_compaction,
    process,
    records,
    until,
)
from topics.codec import encode
from topics.config import CONFIG_KEY
from topics.registry import DEAD_LETTERS, RENDER_CONFIG


async def assert_whole(settings: Settings, *processes: Process) -> None:
    """All agree, the topic's last record alone says the same, and nobody writes any more."""
    first = processes[0]
    await until(lambda: first.reader.state.is_canonical, "the topic is whole")
    for each in processes:
        await each.reader.read_to(first.reader.state.read_to)
        assert each.reader.current == first.reader.current
    told = await records(settings, RENDER_CONFIG.name)
    assert told[-1].offset == first.reader.state.read_to
    assert after_compaction(told).after == first.reader.current


async def letters(settings: Settings) -> list[tuple[bytes | None, dict[str, str]]]:
    return [
        (letter.value, {name: value.decode() for name, value in letter.headers})
        for letter in await records(settings, DEAD_LETTERS.name)
    ]


async def letters_with(settings: Settings, text: str) -> list[dict[str, str]]:
    return [headers for value, headers in await letters(settings) if text.encode() in (value or b"")]


async def test_a_part_typed_by_hand_is_merged_and_said_again_whole(
    settings: Settings, typist: Typist
) -> None:
    async with process(settings) as one:
        await one.service.change({"max_retry": 4, "max_parallelism": 5}, actor="ann")
        await typist.type({"max_retry": 6})
        await until(lambda: one.config["max_retry"] == 6, "it is in force")
        version = one.reader.current.version
        assert one.config["max_parallelism"] == 5
        await assert_whole(settings, one)
        assert one.reader.current.version == version
        last = (await records(settings, RENDER_CONFIG.name))[-1]
        assert json.loads(last.value) == one.config
        headers = {name: value.decode() for name, value in last.headers}
        assert headers == {"config-version": str(version), "config-as-of": str(version), "actor": "serve"}


async def test_a_whole_one_typed_by_hand_needs_no_repetition(settings: Settings, typist: Typist) -> None:
    async with process(settings) as one:
        whole = {**one.config, "max_retry": 8}
        await typist.type(whole)
        await until(lambda: one.config == whole, "it is in force")
        await typist.type("no json")  # dealt with after it
        await until(lambda: _typed_last(settings, "no json"), "it is put aside")
        told = await records(settings, RENDER_CONFIG.name)
        assert [record.value for record in told if record.offset == one.reader.current.version + 1] == [
            b"no json"
        ]


async def _typed_last(settings: Settings, text: str) -> bool:
    return bool(await letters_with(settings, text))


@pytest.mark.parametrize(
    "wrong",
    ["not json at all", '{"max_parallelism": 65}', '{"max_parallelism": 2, "surprise-1": 1}', "{}", "[]"],
)
async def test_a_bad_one_changes_nothing_and_is_never_the_last(
    settings: Settings, typist: Typist, wrong: str
) -> None:
    async with process(settings) as one:
        before = await one.service.change({"max_retry": 3}, actor="ann")
        known = len(await letters(settings))
        await typist.type(wrong)
        await one.reader.read_to(before.version + 2)  # the bad one, and what is said again
        assert one.reader.current == before
        await assert_whole(settings, one)
        ((value, headers),) = (await letters(settings))[known:]
        assert value == wrong.encode()
        assert headers["dlq.topic"] == RENDER_CONFIG.name
        assert headers["dlq.offset"] == str(before.version + 1)
        assert headers["dlq.error.message"]


async def test_a_record_under_another_key_is_put_aside(settings: Settings, typist: Typist) -> None:
    async with process(settings) as one:
        before = await one.service.change({"max_retry": 3}, actor="ann")
        await typist.type({"max_retry": 9, "other-key": 1}, key="rendering")
        await until(lambda: _typed_last(settings, "other-key"), "it is put aside")
        assert one.reader.current == before
        (letter,) = await letters_with(settings, "other-key")
        assert "the key is to be 'render'" in letter["dlq.error.message"]


async def test_a_tombstone_brings_the_default_back_for_good(settings: Settings, typist: Typist) -> None:
    async with process(settings) as one:
        changed = await one.service.change({"max_retry": 9}, actor="ann")
        await typist.delete()
        await one.reader.read_to(changed.version + 1)
        assert one.config["max_retry"] == 2
        await assert_whole(settings, one)
        assert one.reader.current.version == changed.version + 1


async def test_what_was_typed_while_nobody_kept_the_topic_is_dealt_with_later_and_once(
    settings: Settings, typist: Typist
) -> None:
    async with process(settings) as one:
        before = await one.service.change({"max_retry": 3}, actor="ann")
    await typist.type('{"max_retry": "typed-alone"}')
    for _ in range(2):
        async with process(settings) as one:
            await assert_whole(settings, one)
            assert one.reader.current == before
            await until(lambda: _typed_last(settings, "typed-alone"), "it is put aside")
    assert len(await letters_with(settings, "typed-alone")) == 1


async def test_two_keepers_neither_fight_nor_repeat(settings: Settings, typist: Typist) -> None:
    async with process(settings) as one, process(settings) as other:
        for number in range(5):
            await typist.type({"max_retry": number})
            await typist.type(f'{{"max_retry": "two-{number}"}}')
        await until(lambda: one.config["max_retry"] == 4, "the last one is in force")
        await until(lambda: _typed_last(settings, "two-4"), "the bad ones are put aside")
        await assert_whole(settings, one, other)
        assert len(await letters_with(settings, "two-")) == 5
        end = one.reader.state.read_to
        told = await records(settings, RENDER_CONFIG.name)
        assert one.reader.current.version < end  # it was said again
        restated = [record for record in told if dict(record.headers).get("config-version")]
        assert len({record.offset for record in restated if record.offset > end - 20}) <= 10


async def test_who_says_it_again_at_the_same_moment_says_the_same(settings: Settings, typist: Typist) -> None:
    async with AsyncExitStack() as stack:
        all_ = [await stack.enter_async_context(process(settings, keeps=False)) for _ in range(3)]
        await typist.type({"max_retry": 7})
        await until(lambda: all(each.config["max_retry"] == 7 for each in all_), "all have read it")
        await asyncio.gather(*(each.config_writer.keep_whole() for each in all_))
        version = all_[0].reader.current.version
        await assert_whole(settings, *all_)
        assert all_[0].reader.current.version == version


async def test_a_keeper_that_was_late_does_not_undo_what_came_since(
    settings: Settings, typist: Typist
) -> None:
    async with process(settings, keeps=False) as one:
        old = await one.service.change({"max_retry": 1}, actor="ann")
        await typist.type({"max_retry": 2})
        await until(lambda: one.config["max_retry"] == 2, "it is in force")
        # As one that had read only the first would send it.
        version = str(old.version).encode()
        headers = [("config-version", version), ("config-as-of", version)]
        sent = await one.writer.send(RENDER_CONFIG.name, CONFIG_KEY.encode(), encode(old.config), headers)
        await one.reader.read_to(sent.offset)
        assert one.config["max_retry"] == 2
        assert not one.reader.state.is_canonical
        await one.config_writer.keep_whole()
        await assert_whole(settings, one)


@pytest.mark.parametrize("path", ["text.mp4", "nowhere.mp4", "../../etc/hostname"])
async def test_a_placeholder_typed_by_hand_that_is_none_is_taken_back_with_its_record(
    settings: Settings, typist: Typist, path: str
) -> None:
    async with process(settings) as one:
        before = await one.service.change({"placeholder_asset_path": "good.mp4", "max_retry": 3}, actor="ann")
        await typist.type({"max_retry": 9, "placeholder_asset_path": path})
        await one.reader.read_to(before.version + 2)
        assert one.reader.current == before
        await assert_whole(settings, one)
        await until(lambda: _typed_last(settings, path), "it is put aside")


async def test_what_was_changed_since_stays_when_a_placeholder_is_taken_back(
    settings: Settings, typist: Typist
) -> None:
    async with process(settings, keeps=False) as one:
        before = await one.service.change({"placeholder_asset_path": "good.mp4", "max_retry": 3}, actor="ann")
        await typist.type({"max_retry": 9, "placeholder_asset_path": "text.mp4"})
        await typist.type({"max_parallelism": 11})
        await one.reader.read_to(before.version + 2)
        async with process(settings):
            await until(lambda: one.config["placeholder_asset_path"] == "good.mp4", "it is taken back")
            assert one.config == {**before.config.model_dump(), "max_parallelism": 11}
            await assert_whole(settings, one)


async def test_of_many_changes_to_one_version_exactly_one_wins(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        all_ = [await stack.enter_async_context(process(settings)) for _ in range(3)]
        base = await all_[0].service.change({"max_retry": 0}, actor="ann")
        for each in all_:
            await each.reader.read_to(base.version)

        async def attempt(number: int) -> ConfigInForce | None:
            service = all_[number % 3].service
            try:
                return await service.change({"max_retry": number}, actor="x", versions={base.version})
            except StaleVersionError:
                return None

        results = await asyncio.gather(*(attempt(number) for number in range(1, 10)))
        (winner,) = [result for result in results if result]
        await assert_whole(settings, *all_)
        assert all_[0].reader.current == winner


async def test_changes_that_name_no_version_all_count(settings: Settings) -> None:
    async with process(settings) as one, process(settings) as other:
        wanted: dict[str, Any] = {
            "max_parallelism": 9,
            "per_video_limit": 9,
            "max_retry": 9,
            "clip_timeout_ms": 9,
            "retry_backoff_ms": 9,
        }
        await asyncio.gather(
            *(
                (one if number % 2 else other).service.change({name: value}, actor="x")
                for number, (name, value) in enumerate(wanted.items())
            )
        )
        await assert_whole(settings, one, other)
        assert wanted.items() <= one.config.items()
