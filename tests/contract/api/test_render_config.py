"""GET and PATCH of the render config, as `curl` sees them."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stream_app.kafka import broker
from tests.broker_fixture import frozen
from tests.contract.api.client import Guarded
from tests.integration.render.roles import ROOT, wait_until
from tests.served import Answer, Serve

CONFIG = "/api/v1/render/config"
DEFAULT_PLACEHOLDER = "media/fallback/clip_placeholder.mp4"
FIELDS = {
    "max_parallelism",
    "per_video_limit",
    "max_retry",
    "placeholder_asset_path",
    "clip_timeout_ms",
    "retry_backoff_ms",
}


def patch(serve: Serve, body: object, if_match: str | None = None) -> Answer:
    headers = {"Content-Type": "application/json"} | ({"If-Match": if_match} if if_match is not None else {})
    return serve.ask(CONFIG, "PATCH", body, headers)


def assert_problem(answer: Answer, status: int) -> dict[str, Any]:
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.body
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


@pytest.fixture
def unchanged(serve: Serve) -> Iterator[None]:
    """What the test does must change nothing."""
    before = serve.ask(CONFIG).body
    yield
    assert serve.ask(CONFIG).body == before


def test_get_says_the_config_and_its_version(serve: Serve) -> None:
    answer = serve.ask(CONFIG)
    assert answer.status == 200
    assert answer.body.keys() == FIELDS | {"config_version"}
    assert answer.headers["ETag"] == f'"{answer.body["config_version"]}"'


def test_a_patch_changes_what_it_names_and_the_next_get_shows_it(serve: Serve) -> None:
    before = serve.ask(CONFIG).body
    changed = patch(serve, {"max_parallelism": 6, "per_video_limit": 2, "max_retry": 3})
    assert changed.status == 200
    assert changed.body["config_version"] > before["config_version"]
    again = serve.ask(CONFIG)
    assert again.body == changed.body
    assert again.headers["ETag"] == changed.headers["ETag"] == f'"{changed.body["config_version"]}"'
    fields = {"max_parallelism": 6, "per_video_limit": 2, "max_retry": 3}
    assert changed.body == {**before, **fields, "config_version": changed.body["config_version"]}


LIMITS = [
    ("max_parallelism", 1, 64),
    ("per_video_limit", 1, 64),
    ("max_retry", 0, 10),
    ("clip_timeout_ms", 1, 3_600_000),
    ("retry_backoff_ms", 0, 600_000),
]


@pytest.mark.parametrize(("field", "low", "high"), LIMITS, ids=str)
def test_each_limit_holds_to_the_last_one(serve: Serve, field: str, low: int, high: int) -> None:
    for value in (low, high):
        assert patch(serve, {field: value}).body[field] == value
    for value in (low - 1, high + 1, -(10**30), 10**30):
        (error,) = assert_problem(patch(serve, {field: value}), 422)["errors"]
        assert error["path"] == f"/{field}"
        assert error["message"]
    assert serve.ask(CONFIG).body[field] == high


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("value", ["6", 6.0, 6.5, True, None, [6], {"value": 6}], ids=repr)
def test_a_value_of_another_type_is_no_number(serve: Serve, value: object) -> None:
    for field, _, _ in LIMITS:
        (error,) = assert_problem(patch(serve, {field: value}), 422)["errors"]
        assert error["path"] == f"/{field}"


@pytest.mark.usefixtures("unchanged")
def test_every_error_is_told_at_once(serve: Serve) -> None:
    wrong = {
        "max_parallelism": 0,
        "per_video_limit": "2",
        "max_retry": 11,
        "clip_timeout_ms": True,
        "retry_backoff_ms": None,
        "placeholder_asset_path": "media/nowhere.mp4",
        "sur/prise": 1,
        "config_version": 3,
    }
    errors = assert_problem(patch(serve, wrong), 422)["errors"]
    assert {error["path"] for error in errors} == {f"/{name}".replace("sur/", "sur~1") for name in wrong}
    assert all(error["code"] and error["message"] for error in errors)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"not json",
        b"\xff\xfe",
        b'{"max_parallelism": NaN}',
        b'{"max_parallelism": Infinity}',
        b'{"max_parallelism": 6',
        b'{"placeholder_asset_path": "\\ud800"}',
        b'{"max_retry": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
    ids=lambda body: repr(body)[:30],
)
def test_what_cannot_be_read_is_refused(serve: Serve, body: bytes | None) -> None:
    assert_problem(patch(serve, body), 400)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("body", [b"[]", b"null", b"6", b'"text"', b'[{"max_retry": 1}]'])
def test_json_that_is_no_object_is_told_as_an_error_of_the_whole(serve: Serve, body: bytes) -> None:
    (error,) = assert_problem(patch(serve, body), 422)["errors"]
    assert (error["path"], error["code"]) == ("", "no_object")


@pytest.mark.usefixtures("unchanged")
def test_a_change_of_nothing_is_refused(serve: Serve) -> None:
    (error,) = assert_problem(patch(serve, {}), 422)["errors"]
    assert (error["path"], error["code"]) == ("", "empty")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_what_does_not_say_that_it_is_json_is_refused(serve: Serve, content_type: str) -> None:
    answer = serve.ask(CONFIG, "PATCH", {"max_retry": 1}, {"Content-Type": content_type})
    assert_problem(answer, 415)


@pytest.mark.usefixtures("unchanged")
def test_a_huge_body_is_refused(serve: Serve) -> None:
    assert_problem(patch(serve, b'{"max_retry": 1' + b" " * 70_000 + b"}"), 413)
    assert_problem(patch(serve, {"placeholder_asset_path": "x" * 5000}), 422)


@pytest.fixture
def placeholder(serve: Serve) -> str:
    shutil.copy(ROOT / DEFAULT_PLACEHOLDER, serve.media / "other.mp4")
    return "other.mp4"


def test_a_placeholder_may_be_named_in_every_way(serve: Serve, placeholder: str) -> None:
    absolute = serve.media / placeholder
    (serve.media / "link.mp4").unlink(missing_ok=True)
    (serve.media / "link.mp4").symlink_to(absolute)
    for path in (placeholder, str(absolute), absolute.as_uri(), "link.mp4", DEFAULT_PLACEHOLDER):
        answer = patch(serve, {"placeholder_asset_path": path})
        assert answer.status == 200, answer
        assert answer.body["placeholder_asset_path"] == path


@pytest.mark.usefixtures("unchanged")
def test_a_placeholder_that_is_none_is_refused(serve: Serve, placeholder: str) -> None:
    media = serve.media
    outside = serve.folder / "outside.mp4"
    shutil.copy(media / placeholder, outside)
    (media / "text.mp4").write_text("<html>not found</html>")
    (media / "empty.mp4").touch()
    whole = (media / placeholder).read_bytes()
    (media / "half.mp4").write_bytes(whole[: len(whole) // 2])
    _sound_only(media / "sound.mp4")
    for name in ("out.mp4", "loop.mp4"):
        (media / name).unlink(missing_ok=True)
    (media / "out.mp4").symlink_to(outside)
    (media / "loop.mp4").symlink_to("loop.mp4")
    for path in (
        "nowhere.mp4",
        "text.mp4",
        "empty.mp4",
        "half.mp4",
        "sound.mp4",
        "out.mp4",
        "loop.mp4",
        ".",
        f"../{outside.name}",
        str(outside),
        outside.as_uri(),
        "/etc/hostname",
        "/dev/zero",
        "http://127.0.0.1:1/clip.mp4",
        "nul\0byte.mp4",
        "",
    ):
        (error,) = assert_problem(patch(serve, {"placeholder_asset_path": path}), 422)["errors"]
        assert error["path"] == "/placeholder_asset_path", path


def _sound_only(path: Path) -> None:
    import av  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48_000
        out.mux([*stream.encode(frame), *stream.encode(None)])


def test_a_stale_etag_changes_nothing(serve: Serve) -> None:
    stale = serve.ask(CONFIG).headers["ETag"]
    current = patch(serve, {"max_retry": 1}, stale)
    assert current.status == 200
    refused = patch(serve, {"max_retry": 2}, stale)
    assert_problem(refused, 412)
    assert refused.headers["ETag"] == current.headers["ETag"]
    assert serve.ask(CONFIG).body == current.body


def test_if_match_is_read_as_rfc_9110_has_it(serve: Serve) -> None:
    etag = serve.ask(CONFIG).headers["ETag"]
    for matching in ("*", f'"x", {etag}', f'{etag} , "12345"'):
        answer = patch(serve, {"max_retry": 1}, matching.replace(etag, serve.ask(CONFIG).headers["ETag"]))
        assert answer.status == 200, matching
    etag = serve.ask(CONFIG).headers["ETag"]
    for other in (f"W/{etag}", '"x"', '"99999999"'):
        assert_problem(patch(serve, {"max_retry": 2}, other), 412)
    for nonsense in (etag.strip('"'), '"1', "", "1,2"):
        assert_problem(patch(serve, {"max_retry": 2}, nonsense), 400)


def test_of_two_processes_with_one_etag_exactly_one_wins(serve: Serve) -> None:
    second = Serve(serve.bootstrap, serve.folder, "second").start()
    try:
        for round_ in range(10):
            etag = serve.ask(CONFIG).headers["ETag"]
            wait_until(lambda etag=etag: second.ask(CONFIG).headers["ETag"] == etag, "both know it")
            with ThreadPoolExecutor(2) as at_once:
                answers = list(
                    at_once.map(
                        lambda asked, etag=etag: patch(asked[0], {"max_retry": asked[1]}, etag),
                        ((serve, round_), (second, 10 - round_)),
                    )
                )
            assert sorted(answer.status for answer in answers) == [200, 412]
            (won,) = (answer for answer in answers if answer.status == 200)
            for each in (serve, second):
                wait_until(lambda each=each, won=won: each.ask(CONFIG).body == won.body, "both agree")
    finally:
        assert second.role.terminate() == 0


def test_history_says_who_changed_what(serve: Serve) -> None:
    patch(serve, {"max_retry": 4})
    first = patch(serve, {"max_retry": 5}).body
    typed = 'render:{"max_retry": 6}\n'
    subprocess.run(
        ["kcat", "-b", serve.bootstrap, "-P", "-t", "render-config", "-K:"],
        input=typed,
        text=True,
        check=True,
        timeout=60,
    )
    wait_until(lambda: serve.ask(CONFIG).body["max_retry"] == 6, "it is in force")
    newest, before, *_ = serve.ask(f"{CONFIG}/history?limit=3").body["changes"]
    assert (newest["actor"], newest["changes"], newest["valid"]) == ("kcat", {"max_retry": [5, 6]}, True)
    assert (before["actor"], before["changes"]) == ("api", {"max_retry": [4, 5]})
    assert before["config_version"] == first["config_version"]
    assert before["changed_at"].endswith("Z")
    told = serve.ask(f"{CONFIG}/history?limit=2").body["changes"]
    assert len(told) == 2
    assert_problem(serve.ask(f"{CONFIG}/history?limit=0"), 422)


def test_history_by_pages_does_not_shift(serve: Serve) -> None:
    for retries in range(5):
        patch(serve, {"max_retry": retries})
    whole = serve.ask(f"{CONFIG}/history?limit=1000").body
    assert whole["next_cursor"] is None
    seen = []
    page = serve.ask(f"{CONFIG}/history?limit=2").body
    # A change that comes in while somebody turns the pages.
    patch(serve, {"max_retry": 9})
    while seen.extend(page["changes"]) or page["next_cursor"]:
        page = serve.ask(f"{CONFIG}/history?limit=2&cursor={page['next_cursor']}").body
        assert 1 <= len(page["changes"]) <= 2
    assert seen == whole["changes"]
    assert serve.ask(f"{CONFIG}/history?cursor=0").body["changes"] == []


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 19, "%27%20OR%201"])
def test_a_cursor_of_the_history_that_is_none_of_ours(serve: Serve, cursor: str) -> None:
    (error,) = assert_problem(serve.ask(f"{CONFIG}/history?cursor={cursor}"), 422)["errors"]
    assert (error["path"], error["code"]) == ("/query/cursor", "bad_cursor")


def test_the_description_has_every_answer(serve: Serve) -> None:
    paths = serve.ask("/openapi.json").body["paths"]
    operation = paths[CONFIG]["patch"]
    assert {"200", "400", "403", "412", "413", "415", "422", "503"} <= operation["responses"].keys()
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"].keys() == FIELDS
    assert json.dumps(operation["requestBody"]["content"]["application/json"]["example"])


def test_who_has_a_token_changes_it_under_its_name(guarded: Guarded, serve: Serve) -> None:
    with guarded.client(headers={"Authorization": f"Bearer {guarded.tokens['operate']}"}) as client:
        changed = client.patch(CONFIG, json={"max_retry": 8}).raise_for_status()
    version = changed.json()["config_version"]
    wait_until(lambda: serve.ask(CONFIG).body["config_version"] == version, "the other one has it too")
    (newest,) = serve.ask(f"{CONFIG}/history?limit=1").body["changes"]
    assert (newest["config_version"], newest["actor"]) == (version, "ann")


def test_without_kafka_nothing_is_pretended(guarded: Guarded, serve: Serve) -> None:
    before = patch(serve, {"max_retry": 7})
    assert before.status == 200
    broker.stop(guarded.home)
    try:
        refused = patch(serve, {"max_retry": 8})
        assert_problem(refused, 503)
        assert int(refused.headers["Retry-After"]) > 0
        assert serve.ask(CONFIG).body == before.body
    finally:
        broker.start(guarded.home, cache=broker.default_home(), timeout_s=300)
    wait_until(lambda: patch(serve, {"per_video_limit": 9}).status == 200, "Kafka is back", 120)
    # What was refused does not come into force afterwards.
    assert serve.ask(CONFIG).body["max_retry"] == 7


def test_a_kafka_that_hangs_is_away_too(guarded: Guarded, serve: Serve) -> None:
    before = patch(serve, {"max_retry": 7})
    assert before.status == 200
    with frozen(guarded.home):
        refused = patch(serve, {"max_retry": 8})
        assert serve.ask(CONFIG).body == before.body
    assert_problem(refused, 503)
    wait_until(lambda: patch(serve, {"per_video_limit": 9}).status == 200, "Kafka answers", 120)
    assert serve.ask(CONFIG).body["max_retry"] == 7
