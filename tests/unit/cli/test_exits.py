import asyncio

import pytest

from stream_app.cli.exits import Exit, exit_codes
from stream_app.domain.errors import OwnFaultError
from stream_app.settings import Settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [("RENDER_METRICS_PORT", "hunter2"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2:4317")],
)
def test_a_setting_that_cannot_be_used_is_told_as_its_user_writes_it(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as end, exit_codes():
        Settings()
    told = capsys.readouterr().err
    assert end.value.code == Exit.WRONG_USE
    assert f"cannot be used: {variable}: " in told
    assert "hunter2" not in told


async def _fail(error: Exception) -> None:
    raise error


async def _run_parts(error: Exception) -> None:
    async with asyncio.TaskGroup() as parts:
        parts.create_task(asyncio.sleep(60))
        async with asyncio.TaskGroup() as inner:
            inner.create_task(_fail(error))


def test_a_part_that_fails_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, exit_codes():
        asyncio.run(_run_parts(OwnFaultError("the disk is full")))
    assert end.value.code == Exit.FAILED
    assert capsys.readouterr().err == "clipfold: the disk is full\n"


def test_a_fault_of_the_program_is_shown_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), exit_codes():
        asyncio.run(_run_parts(ZeroDivisionError()))
