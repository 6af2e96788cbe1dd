"""The commands of docs/api.md, run as they stand."""

import json
import os
import re
import subprocess
from pathlib import Path

import httpx

from tests.contract.api.client import MIXES, Stack, url_of, wait_for_status
from tests.integration.render.roles import ROOT

PAGE = ROOT / "docs" / "api.md"
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HERE = "http://127.0.0.1:8080"


def test_the_commands_of_the_page_work(stack: Stack, client: httpx.Client, tmp_path: Path) -> None:
    blocks = COMMANDS.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 7
    assert HERE in blocks[0]
    start = blocks[0].replace(HERE, url_of(stack.serve))
    asked, followed, _ = (typed(start + block, tmp_path) for block in blocks[1:4])
    with stack.nobody_decides():
        changed = typed(start + blocks[4], tmp_path)
    config = typed(start + blocks[5], tmp_path)
    answered = json.loads(typed(start + blocks[6], tmp_path))
    assert answered["columns"] == ["id", "status"]
    assert json.loads(asked)["location"] == f"{MIXES}/by-curl"
    assert "event: mix-rendered" in followed
    video = (tmp_path / "by-curl.mp4").read_bytes()
    assert video[4:8] == b"ftyp"
    assert (tmp_path / "first-kilobyte").read_bytes() == video[:1024]
    assert json.loads(changed[: changed.index("}") + 1])["revision"] == 2
    assert wait_for_status(client, "by-curl", "cancelled")["revision"] == 2
    assert '"max_parallelism":[4,6]' in config


def test_the_page_names_every_endpoint_that_it_should(client: httpx.Client) -> None:
    page = PAGE.read_text(encoding="utf-8")
    paths = client.get("/openapi.json").json()["paths"]
    last = {path.rpartition("/")[2].strip("{}") for path in paths} - {"mix_id", "kind"}
    assert {name for name in last if name not in page} == set()


def typed(commands: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
