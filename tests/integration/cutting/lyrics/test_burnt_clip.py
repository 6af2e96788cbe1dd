"""Clips with their line's text in the picture, made by cutting processes in the sandboxes they run in."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_app.assembly.join import join_clips
from stream_app.clip.store import ClipStore
from stream_app.clip.verify import verify_clip
from stream_app.cutting import recipe
from stream_app.cutting.lyrics import drawing
from stream_app.cutting.lyrics.render import FONTS
from stream_app.cutting.orders import CutOrder, Overlay, PlaceholderOrder
from stream_app.cutting.pool import CutterPool
from stream_app.cutting.recipe import recipe_digest
from stream_app.cutting.terms import Isolation
from stream_app.sources.source_file import SourceFile
from tests.integration.cutting.sandboxes import LEVELS, best_sandbox, left_behind, sandbox_of
from topics.profile import RenderProfile

OWN, EXTENSION = 20, 5
WHITE = 200
NOBODY_HAS = "\U0010fffd"


@pytest.fixture
def order(footage: Any, small: RenderProfile) -> CutOrder:
    return CutOrder(SourceFile(footage.source("h264-mp4").path), 1000, OWN, EXTENSION, small)


@pytest.fixture
def burnt(order: CutOrder) -> CutOrder:
    return replace(order, overlay=Overlay("La la land", OWN))


@pytest.fixture
async def pool(tmp_path: Path, order: CutOrder) -> AsyncIterator[CutterPool]:
    sandbox = best_sandbox(tmp_path, order.source.path.parent)
    async with CutterPool(1, tmp_path / "clips", sandbox) as pool:
        yield pool


def lettered(footage: Any, plain: Path, drawn: Path) -> list[bool]:
    """For each frame of two clips of the same source, whether `drawn` alone has text in its lower third.

    Above it they must not differ by more than two encodings do.
    """
    seen = []
    for below, above in zip(footage.lumas(plain), footage.lumas(drawn), strict=True):
        change = np.abs(below.astype(int) - above.astype(int))
        third = len(change) * 2 // 3
        assert change[:third].max() < 60
        lower = change[third:].max()
        assert lower < 30 or lower > 90
        seen.append(bool(lower > 90 and above[third:].max() > WHITE))
    return seen


@pytest.mark.parametrize("level", LEVELS)
async def test_text_is_on_the_line_s_own_frames_only(
    level: Isolation, order: CutOrder, burnt: CutOrder, footage: Any, tmp_path: Path
) -> None:
    sandbox = sandbox_of(level, tmp_path, order.source.path.parent)
    async with CutterPool(1, tmp_path / "clips", sandbox) as pool:
        plain, drawn = await pool.run(order), await pool.run(burnt)
    assert drawn.undrawn == ""
    assert (drawn.first_source_ms, drawn.last_source_ms) == (plain.first_source_ms, plain.last_source_ms)
    assert lettered(footage, plain.path, drawn.path) == [True] * OWN + [False] * EXTENSION
    assert left_behind(tmp_path / "clips") == []


async def test_a_picture_that_stays_loses_its_text_when_the_line_ends(
    pool: CutterPool, burnt: CutOrder, footage: Any
) -> None:
    slow = replace(burnt, source=SourceFile(footage.source("10-fps").path), overlay=None)
    plain, drawn = await pool.run(slow), await pool.run(replace(slow, overlay=burnt.overlay))
    assert lettered(footage, plain.path, drawn.path) == [True] * OWN + [False] * EXTENSION


async def test_burnt_and_plain_clips_join(
    pool: CutterPool, order: CutOrder, burnt: CutOrder, tmp_path: Path
) -> None:
    clips = [(await pool.run(each)).path for each in (order, burnt)]
    for clip in clips:
        verify_clip(clip, order.profile, OWN + EXTENSION)
    joined = tmp_path / "joined.mp4"
    join_clips(clips, [OWN + EXTENSION] * 2, order.profile.rate, joined)
    assert joined.stat().st_size > 0


async def test_equal_text_is_recalled_and_gives_equal_bytes(
    pool: CutterPool, burnt: CutOrder, tmp_path: Path
) -> None:
    made = await pool.run(burnt)
    assert (await pool.run(burnt)).recalled
    other = await pool.run(replace(burnt, overlay=Overlay("La la lang", OWN)))
    assert (other.recalled, other.sha256 == made.sha256) == (False, False)
    shutil.rmtree(tmp_path / "clips" / "recipes")
    (tmp_path / "clips" / "recipes").mkdir()
    again = await pool.run(burnt)
    assert (again.recalled, again.sha256) == (False, made.sha256)


async def test_characters_without_a_font_are_told_by_a_recalled_clip_too(
    pool: CutterPool, burnt: CutOrder
) -> None:
    order = replace(burnt, overlay=Overlay(f"La {NOBODY_HAS}", OWN))
    assert [(await pool.run(order)).undrawn for _ in range(2)] == [NOBODY_HAS] * 2


@pytest.mark.parametrize("asset", ["10-fps", None])
async def test_placeholders_show_the_text(
    pool: CutterPool, small: RenderProfile, footage: Any, asset: str | None
) -> None:
    path = None if asset is None else footage.source(asset).path
    order = PlaceholderOrder(path, OWN + EXTENSION, small)
    plain = await pool.run(order)
    drawn = await pool.run(replace(order, overlay=Overlay("Gone", OWN)))
    assert plain.method == drawn.method == ("placeholder" if asset else "black")
    assert lettered(footage, plain.path, drawn.path) == [True] * OWN + [False] * EXTENSION


def test_a_recipe_knows_all_that_is_drawn(
    order: CutOrder, burnt: CutOrder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "SYSTEM_FONTS", (str(tmp_path),))
    before = recipe_digest(burnt)
    assert recipe_digest(burnt) == before
    others = [
        recipe_digest(order),
        recipe_digest(replace(burnt, overlay=Overlay("La la lang", OWN))),
        recipe_digest(replace(burnt, overlay=Overlay("La la land", OWN - 1))),
    ]
    (tmp_path / "noto").mkdir()
    others.append(recipe_digest(burnt))
    (tmp_path / "noto" / "NotoSansCJK.ttc").touch()
    others.append(recipe_digest(burnt))
    monkeypatch.setattr(drawing, "DRAWING_VERSION", 0)
    others.append(recipe_digest(burnt))
    assert len({before, *others}) == len(others) + 1


def test_fonts_are_no_part_of_a_plain_clip_s_recipe(order: CutOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe_digest(order)
    monkeypatch.setattr(recipe, "drawing_facts", lambda: pytest.fail("asked for"))
    assert recipe_digest(order) == before


def test_the_font_comes_with_its_license() -> None:
    assert [path.name for path in FONTS.iterdir()] == ["DejaVuSans.ttf"], "libass opens whatever is there"
    assert "Bitstream" in (FONTS.parent / "LICENSE.DejaVuSans").read_text()


RENDER_MATHS = """
import sys
from pathlib import Path
from stream_app.cutting.lyrics.render import render_text
from topics.profile import RenderProfile
rendered = render_text(sys.argv[1], RenderProfile(), Path(sys.argv[2]) / ".tmp" / "text.mp4")
print(repr((rendered.still is not None, rendered.undrawn)))
"""


@pytest.mark.skipif(shutil.which("fc-list") is None, reason="fontconfig cannot be asked for fonts")
@pytest.mark.parametrize("level", LEVELS)
def test_the_system_s_fonts_are_seen_from_inside(level: Isolation, tmp_path: Path) -> None:
    bold_a = "\U0001d400"
    listed = subprocess.run(["fc-list", f":charset={ord(bold_a):x}"], capture_output=True, check=True)
    if not listed.stdout.strip():
        pytest.skip("no font of this system has a letter that the shipped one lacks")
    store = ClipStore(tmp_path / "clips").root
    sandbox = sandbox_of(level, tmp_path)
    command = sandbox.wrapped([sys.executable, "-c", RENDER_MATHS, bold_a, str(store)])
    ended = subprocess.run(
        command, env=sandbox.environment(), capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.strip() == "(True, '')"
