import json

import pytest

from stream_app.telemetry.log import configure_logging, get_logger


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


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning")
    get_logger().info("quiet")
    assert capsys.readouterr().out == ""
