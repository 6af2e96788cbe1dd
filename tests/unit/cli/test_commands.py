import subprocess
import sys

import pytest
import typer

from stream_app.cli import app
from stream_app.cli.commands import COMMANDS

GROUP = typer.main.get_group(app)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_had_and_says_what_it_does(name: str) -> None:
    command = GROUP.commands[name]
    assert command.name == name
    assert command.help


def test_what_is_none_is_not_found() -> None:
    assert "confg" not in GROUP.commands
    assert GROUP.commands.get("confg") is None


@pytest.mark.parametrize(
    ("name", "heavy"),
    [
        ("submit", {"faust", "fastapi", "av", "duckdb"}),
        ("sql", {"faust", "fastapi", "av", "duckdb"}),
        ("top", {"faust", "fastapi", "av", "duckdb"}),
        ("replay", {"faust", "fastapi", "av"}),
        ("config", {"faust", "fastapi"}),
        ("worker", {"fastapi"}),
        ("serve", {"faust"}),
    ],
)
def test_a_command_does_not_wait_for_the_imports_of_others(name: str, heavy: set[str]) -> None:
    program = (
        "import sys, typer\n"
        "from stream_app.cli import app\n"
        f"typer.main.get_group(app).commands[{name!r}]\n"
        f"print(sorted({heavy!r} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
