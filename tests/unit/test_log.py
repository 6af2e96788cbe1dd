import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime

import pytest
import structlog

from stream_app.telemetry.log import configure_logging, get_logger


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """What a test makes of the log of its process is not that of the tests after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    (line,) = capsys.readouterr().out.splitlines()
    told: dict[str, object] = json.loads(line)
    return told


def test_a_line_is_one_json_object_with_the_promised_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    get_logger().info("render_worker.clip_stats", mix_id="m1", total_clips=3)
    line = said(capsys)
    assert {"timestamp", "level", "event", "trace_id"} <= line.keys()
    assert (line["event"], line["level"], line["mix_id"], line["total_clips"]) == (
        "render_worker.clip_stats",
        "info",
        "m1",
        3,
    )


def test_secrets_and_what_addresses_carry_never_show(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    get_logger().warning(
        "x",
        password="hunter2",  # noqa: S106 - to be hidden
        api_token="abc",  # noqa: S106 - to be hidden
        uri="https://ann:hunter2@cdn.example/a.mp4?signature=abc#t",
        error="GET https://cdn.example/b.mp4?token=abc failed",
    )
    text = capsys.readouterr().out
    assert "hunter2" not in text
    assert "abc" not in text
    assert "https://cdn.example/a.mp4" in text
    assert "https://cdn.example/b.mp4" in text


def test_neither_do_they_deep_inside_or_in_other_schemes(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    get_logger().info(
        "x",
        errors=[
            {"path": "/song/uri", "message": "no such host in ftp://ann:hunter2@files.example/a?b=hunter2"}
        ],
        headers={"Authorization": "Bearer hunter2", "Range": "bytes=0-1"},
        pair=("HTTPS://ann:hunter2@cdn.example/a.mp4", 7),
    )
    line = said(capsys)
    assert "hunter2" not in json.dumps(line)
    assert line["errors"] == [{"path": "/song/uri", "message": "no such host in ftp://files.example/a"}]
    assert line["headers"] == {"Range": "bytes=0-1"}
    assert line["pair"] == ["HTTPS://cdn.example/a.mp4", 7]


def test_a_traceback_hides_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    address = "https://ann:hunter2@cdn.example/a.mp4?token=hunter3"
    error = ValueError(f"cannot read {address}")
    logging.getLogger("aiohttp.client").error("failed: %s", address, exc_info=error)
    line = said(capsys)
    assert "cannot read https://cdn.example/a.mp4" in str(line["exception"])
    assert "hunter" not in json.dumps(line)


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning")
    get_logger().info("quiet")
    assert capsys.readouterr().out == ""


def test_a_line_carries_a_time_as_rfc_3339_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    """What ships the logs reads it so."""
    configure_logging("info")
    get_logger().info("x")
    told = str(said(capsys)["timestamp"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", told)
    assert datetime.fromisoformat(told).tzinfo is not None
