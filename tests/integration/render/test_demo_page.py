"""docs/demo.md, typed as it stands into one bash, prints what the page says."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.broker_fixture import own_kafka
from tests.integration.render.roles import ROOT
from tests.integration.render.test_guarded_kafka import free_port

PAGE = ROOT / "docs" / "demo.md"
BLOCKS = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "-- end of block --"
TIME_LIMIT_S = 400


@dataclass
class Step:
    """Commands of the page, and what they print according to it; `None` when it does not say."""

    commands: str
    output: str | None = None


def steps(page: str) -> list[Step]:
    found: list[Step] = []
    for kind, text in BLOCKS.findall(page):
        if kind == "sh":
            found.append(Step(text))
        else:
            found[-1].output = text
    return found


def pattern(output: str) -> re.Pattern[str]:
    """`…` on a line of its own is any number of lines, elsewhere any characters of a line."""
    lines = (
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
        for line in output.splitlines()
    )
    return re.compile("".join(lines))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block printed; one that fails ends them all."""
    folder = tmp_path_factory.mktemp("demo")
    typed = "".join(f"{step.commands}printf '%s\\n' '{MARK}'\n" for step in steps(PAGE.read_text("utf-8")))
    with own_kafka(folder / "kafka") as bootstrap:
        ports = ("RENDER_API_PORT", "RENDER_METRICS_PORT", "FILES_PORT", "NOBODY_PORT")
        environment = {
            **os.environ,
            "RENDER_KAFKA_BOOTSTRAP": bootstrap,
            "RENDER_ARTIFACTS_DIR": str(folder / "artifacts"),
            **{name: str(free_port()) for name in ports},
        }
        # `-m`: jobs have names, as at a prompt; whatever happens, none is left.
        script = f"set -em; trap 'kill $(jobs -p) 2> /dev/null || true; wait' EXIT\n{typed}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
            check=False,
        )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}{logs(folder)}"
    return done.stdout.split(f"{MARK}\n")


def logs(folder: Path) -> str:
    return "".join(log.read_text()[-2000:] for log in (folder / "artifacts").glob("*.log"))


@pytest.mark.parametrize("number", range(len(steps(PAGE.read_text("utf-8")))))
def test_a_block_prints_what_the_page_says(printed: list[str], number: int) -> None:
    step = steps(PAGE.read_text("utf-8"))[number]
    if step.output is not None:
        assert pattern(step.output).fullmatch(printed[number]), printed[number]
