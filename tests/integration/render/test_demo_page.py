"""docs/demo.md, typed as it stands into one bash, prints what the page says."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stream_app.child_process import end_group
from tests.broker_fixture import own_kafka
from tests.integration.render.roles import ROOT
from tests.integration.render.test_guarded_kafka import free_port

PAGE = ROOT / "docs" / "demo.md"
BLOCKS = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = {"width": 320, "height": 180, "quality": "draft"}
MARK = "-- end of block --"
TIME_LIMIT_S = 300


@dataclass
class Step:
    """Commands of the page, and what they print according to it; `None` when it does not say."""

    commands: str
    output: str | None = None


def read_steps(page: str) -> list[Step]:
    found: list[Step] = []
    for kind, text in BLOCKS.findall(page):
        if kind == "sh":
            found.append(Step(text))
        else:
            found[-1].output = text
    return found


STEPS = read_steps(PAGE.read_text(encoding="utf-8"))
TOLD = [number for number, step in enumerate(STEPS) if step.output is not None]


def pattern(output: str) -> re.Pattern[str]:
    """`…` on a line of its own is any number of lines, elsewhere any characters of a line."""
    lines = (
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
        for line in output.splitlines()
    )
    return re.compile("".join(lines))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What each block printed, in a small picture, as the page allows; one that fails ends them all."""
    folder = tmp_path_factory.mktemp("demo")
    request = json.loads((ROOT / "media/slow_render_case.json").read_text(encoding="utf-8"))
    small = folder / "small.json"
    small.write_text(json.dumps({**request, "profile": SMALL}))
    with own_kafka(folder / "kafka") as bootstrap:
        ports = ("RENDER_API_PORT", "RENDER_METRICS_PORT", "FILES_PORT", "NOBODY_PORT")
        environment = {
            "BROKER": bootstrap,
            "SLOW_CASE": str(small),
            "RENDER_ARTIFACTS_DIR": str(folder / "artifacts"),
            **{name: str(free_port()) for name in ports},
        }
        yield typed([step.commands for step in STEPS], environment, folder)


def typed(blocks: list[str], environment: dict[str, str], folder: Path) -> list[str]:
    script = "".join(f"{block}printf '%s\\n' '{MARK}'\n" for block in blocks)
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        bash = subprocess.Popen(
            ["bash", "-ec", script],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            status = bash.wait(TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            end_group(bash)  # whatever happens, nothing of it goes on
    said = {name: (folder / name).read_text(encoding="utf-8") for name in ("out", "err")}
    assert status == 0, (status, said["out"][-3000:], said["err"][-3000:])
    return said["out"].split(f"{MARK}\n")


@pytest.mark.parametrize("number", TOLD)
def test_a_block_prints_what_the_page_says(printed: list[str], number: int) -> None:
    assert pattern(STEPS[number].output or "").fullmatch(printed[number]), printed[number]


def test_the_page_says_of_nearly_all_that_it_types_what_comes_of_it() -> None:
    assert len(TOLD) >= len(STEPS) - 1 > 10
