import pytest

from stream_app.cli.exits import Exit, exit_codes
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
