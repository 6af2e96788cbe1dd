"""What `clipfold doctor` says of lyrics in the picture."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stream_app.cli.doctor import SCRIPTS
from tests.integration.render.roles import ROOT


def lyrics(folder: Path, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "stream_app.cli", "doctor", "--json"],
        cwd=ROOT,
        env={
            **os.environ,
            "RENDER_HOME": str(folder / "home"),
            "RENDER_ARTIFACTS_DIR": str(folder / "artifacts"),
            "RENDER_SANDBOX": "off",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    (finding,) = (each for each in json.loads(done.stdout) if each["what"] == "lyrics")
    return dict(finding)


def test_scripts_that_no_font_has_are_told_with_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "fonts.conf").write_text("<fontconfig></fontconfig>")
    found = lyrics(tmp_path, FONTCONFIG_FILE=str(tmp_path / "fonts.conf"))
    assert found["fine"]
    for package, scripts in SCRIPTS.items():
        assert f"no font for {', '.join(scripts)}: apt-get install {package}" in found["found"]


@pytest.mark.parametrize("program", ["/bin/false", "/nonexistent/ffmpeg"])
def test_an_ffmpeg_that_cannot_draw_is_missing(tmp_path: Path, program: str) -> None:
    found = lyrics(tmp_path, IMAGEIO_FFMPEG_EXE=program)
    assert not found["fine"]
    assert "IMAGEIO_FFMPEG_EXE" in found["mend"]
