"""Lists by pages: each mix and each line once, whatever comes in meanwhile."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.api.client import MIXES, bare, problem_of, wait_until_listed


def pages(client: httpx.Client, url: str, **parameters: Any) -> Iterator[list[dict[str, Any]]]:
    cursor = None
    while True:
        page = client.get(url, params={**parameters, **({"cursor": cursor} if cursor else {})}).json()
        yield page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def test_mixes_newest_first_by_pages(client: httpx.Client, rendered: dict[str, Any]) -> None:
    for number in range(5):
        client.post(MIXES, json=bare(f"listed-{number}")).raise_for_status()
    for number in range(5):
        wait_until_listed(client, f"listed-{number}")
    told = pages(client, MIXES, limit=2)
    seen = next(told)
    # What comes in while somebody turns the pages does not shift them.
    client.post(MIXES, json=bare("listed-late")).raise_for_status()
    wait_until_listed(client, "listed-late")
    seen += [mix for page in told for mix in page]
    ids = [mix["mix_id"] for mix in seen]
    assert len(ids) == len(set(ids))
    ours = [mix_id for mix_id in ids if mix_id.startswith("listed-")]
    assert ours == [f"listed-{number}" for number in range(4, -1, -1)]
    times = [mix["submitted_at_ms"] for mix in seen]
    assert times == sorted(times, reverse=True)
    (same,) = [mix for mix in seen if mix["mix_id"] == "rendered"]
    assert same == {name: rendered[name] for name in same}


def test_mixes_of_one_status(client: httpx.Client, rendered: dict[str, Any]) -> None:
    assert rendered
    found = [mix for page in pages(client, MIXES, status="rendered", limit=1000) for mix in page]
    assert "rendered" in {mix["mix_id"] for mix in found}
    assert {mix["status"] for mix in found} == {"rendered"}
    assert client.get(MIXES, params={"status": "failed"}).json()["items"] == []


def test_the_lines_of_a_mix_by_pages(client: httpx.Client, rendered: dict[str, Any]) -> None:
    url = f"{MIXES}/rendered/clips"
    whole = client.get(url).json()["items"]
    assert [(clip["clip_index"], clip["outcome"]) for clip in whole] == [(0, "completed"), (1, "completed")]
    assert rendered["progress"] == {"total": 2, "done": 2, "placeholders": 0}
    assert [clip for page in pages(client, url, limit=1) for clip in page] == whole
    assert client.get(url, params={"outcome": "placeholder"}).json()["items"] == []


@pytest.mark.parametrize("cursor", ["x", "ab$", "AAAA", "MSAgIA", "'; DROP TABLE render_jobs; --"])
def test_a_cursor_that_is_none_of_ours(client: httpx.Client, rendered: dict[str, Any], cursor: str) -> None:
    assert rendered
    for url in (MIXES, f"{MIXES}/rendered/clips"):
        (error,) = problem_of(client.get(url, params={"cursor": cursor}), 422)["errors"]
        assert (error["path"], error["code"]) == ("/query/cursor", "bad_cursor")
