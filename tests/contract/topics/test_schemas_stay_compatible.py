"""What is committed is what the code says, and it may only grow."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import generate_reference
import pytest
from enum_values import meanings
from pydantic import Field
from schema_files import record_models, schema_of

from stream_app.settings import Settings
from topics.compatibility import breaking_changes
from topics.events import MixFailed, MixRejected
from topics.reasons import FallbackReason, MixFailure
from topics.registry import TOPICS

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "dev" / "generate_reference.py"
TIME_LIMIT_S = 60


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the script reads and writes."""
    shutil.copytree(ROOT / "topics" / "examples", tmp_path / "topics" / "examples")
    assert generate_reference.main([], root=tmp_path) == 0
    return tmp_path


def test_nothing_has_drifted() -> None:
    """If this fails: python scripts/dev/generate_reference.py, and look at the difference."""
    assert generate_reference.stale_files(generate_reference.made_files(ROOT), ROOT) == []


@pytest.mark.parametrize("name", sorted(record_models()))
def test_todays_readers_take_every_record_that_the_committed_schema_allows(name: str) -> None:
    committed = json.loads((ROOT / "topics" / "schemas" / f"{name}.v1.json").read_bytes())
    assert breaking_changes(committed, schema_of(record_models()[name])) == []


class WithoutErrors(MixRejected):
    errors: Annotated[tuple[str, ...], Field(max_length=3)]  # type: ignore[assignment]


class FailedForOneReason(MixFailed):
    reason: Literal[MixFailure.SONG_INVALID]


class WithMore(MixFailed):
    hint: str | None = Field(None, description="added later")


class WithMoreRequired(MixFailed):
    hint: str


@pytest.mark.parametrize(
    ("old", "new"),
    [(MixRejected, WithoutErrors), (MixFailed, FailedForOneReason), (MixFailed, WithMoreRequired)],
)
def test_a_model_that_breaks_is_found(old: type, new: type) -> None:
    assert breaking_changes(schema_of(old), schema_of(new)) != []


def test_a_model_that_grows_is_fine() -> None:
    assert breaking_changes(schema_of(MixFailed), schema_of(WithMore)) == []


def test_check_names_the_drifted_file_and_the_command(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = project / "docs" / "reference" / "data-flow.md"
    page.write_text(page.read_text().replace("cutter", "cuter"))
    assert generate_reference.main(["--check"], root=project) == 1
    complaint = capsys.readouterr().err
    assert complaint.splitlines() == [
        "docs/reference/data-flow.md is not what the code says; mend it with: " + generate_reference.MEND
    ]
    assert generate_reference.main([], root=project) == 0
    assert generate_reference.main(["--check"], root=project) == 0


def test_a_schema_that_nobody_stands_behind_is_drift(project: Path) -> None:
    (project / "topics" / "schemas" / "mix-forgotten.v1.json").write_text("{}")
    assert generate_reference.main(["--check"], root=project) == 1


def test_a_breaking_schema_is_not_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As if the field `hint` had been taken out of the model since the schema was committed."""
    file = project / "topics" / "schemas" / "mix-failed.v1.json"
    committed = json.dumps(schema_of(WithMore))
    file.write_text(committed)
    capsys.readouterr()
    assert generate_reference.main([], root=project) == 1
    assert "mix-failed.v1.json: /hint: was removed" in capsys.readouterr().err
    assert file.read_text() == committed
    assert generate_reference.main(["--allow-breaking"], root=project) == 0
    assert "hint" not in file.read_text()


def test_the_script_makes_the_same_in_any_process() -> None:
    """Hash seeds, the working directory and the user's settings leave no trace."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "4711",
        "RENDER_API_PORT": "1",
        "XDG_CACHE_HOME": "/nowhere",
    }
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_drawing_has_every_topic_and_every_arrow() -> None:
    page = (ROOT / "docs" / "reference" / "data-flow.md").read_text()
    for topic in TOPICS:
        node = topic.name.replace("-", "_")
        assert f'{node}[("{topic.name}")]' in page
        assert all(f"    {role} --> {node}\n" in page for role in topic.writers)
        assert all(f"    {node} --> {role}\n" in page for role in topic.readers)
    arrows = sum(len(topic.writers) + len(topic.readers) for topic in TOPICS)
    assert page.count(" --> ") == arrows


def test_the_page_has_every_link_target() -> None:
    page = (ROOT / "docs" / "reference" / "topics.md").read_text()
    headings = {
        line.lstrip("# ").lower().replace(" ", "-") for line in page.splitlines() if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings
    for file in re.findall(r"\]\((\.\./[^)]+)\)", page):
        assert (ROOT / "docs" / "reference" / file).is_file(), file


@pytest.mark.parametrize("enum", [FallbackReason, MixFailure])
def test_every_reason_has_its_docstring_in_the_page(enum: type[FallbackReason | MixFailure]) -> None:
    page = (ROOT / "docs" / "reference" / "topics.md").read_text()
    described = meanings(enum)
    assert list(described) == [member.value for member in enum]
    assert all(f"| `{value}` | {meaning} |" in page for value, meaning in described.items())


def test_the_env_example_is_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("RENDER_", "OTEL_"))]:
        monkeypatch.delenv(name)
    lines = (ROOT / ".env.example").read_text().splitlines()
    typed = [line.removeprefix("#") for line in lines if line.startswith(("#RENDER_", "#OTEL_"))]
    env = tmp_path / ".env"
    env.write_text("\n".join(typed) + "\n")
    assert len(typed) == len(Settings.model_fields)
    assert Settings(_env_file=env) == Settings(_env_file=None)
    env.write_text("\n".join(typed).replace("RENDER_API_PORT=8080", "RENDER_API_PORT=8081"))
    assert Settings(_env_file=env).api_port == 8081
