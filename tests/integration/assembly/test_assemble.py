"""A whole mix from clips to the published video."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
import pytest

from stream_app.assembly.assemble import assemble_mix
from stream_app.assembly.order import AssembleOrder, Lyric, Part
from stream_app.domain.errors import MixError
from tests.integration.assembly.numbered_media import (
    click_starts,
    read_numbers,
    read_sound,
    small_profile,
    write_parts,
)
from topics.requests import Song

FPS = "30000/1001"
RATE = Fraction(30000, 1001)
MakeOrder = Callable[..., AssembleOrder]


@pytest.fixture
def make_order(tmp_path: Path, clicks: Callable[[str], Path]) -> MakeOrder:
    """An order of two clips of 10 and 20 frames with 5 black frames between them."""
    profile = small_profile(FPS)
    first, second = write_parts(tmp_path / "clips", (10, 20), profile)
    shutil.copy(clicks("m4a"), tmp_path / "song.m4a")

    def make(**changes: object) -> AssembleOrder:
        order = AssembleOrder(
            mix_id="demo-1",
            revision=1,
            profile=profile,
            parts=(first, Part(kind="filler", frames=5), second),
            mixes_dir=tmp_path / "mixes",
            songs_dir=tmp_path / "songs",
        )
        if isinstance(song := changes.get("song"), Song):
            changes["song_path"] = tmp_path / song.uri
        return order.model_copy(update=changes)

    return make


def files(order: AssembleOrder) -> list[str]:
    return sorted(path.name for path in order.out_dir.iterdir())


def test_without_a_song(make_order: MakeOrder) -> None:
    order = make_order()
    assembled = assemble_mix(order)
    assert assembled.path == order.out_dir / "video.mp4"
    assert (assembled.frames, assembled.duration_ms) == (35, 1168)
    data = assembled.path.read_bytes()
    assert (assembled.sha256, assembled.bytes) == (sha256(data).hexdigest(), len(data))
    shown = [*range(10), *[0] * 5, *range(10, 30)]
    assert read_numbers(assembled.path) == [(number, k / RATE) for k, number in enumerate(shown)]
    with av.open(assembled.path) as video:
        assert [stream.type for stream in video.streams] == ["video"]
    assert files(order) == ["manifest.json", "video.mp4"]


def test_a_longer_song_ends_over_black(make_order: MakeOrder) -> None:
    assembled = assemble_mix(make_order(song=Song(uri="song.m4a", offset_ms=300)))
    assert assembled.frames == 69  # 2.3 s are 68.93 frames
    assert [number for number, _ in read_numbers(assembled.path)][35:] == [0] * 34
    assert click_starts(read_sound(assembled.path)) == [(300 + at) * 48 for at in (500, 1000, 1750)]


def test_a_shorter_song_is_followed_by_silence(make_order: MakeOrder) -> None:
    assembled = assemble_mix(make_order(song=Song(uri="song.m4a", offset_ms=-1200)))
    assert assembled.frames == 35
    sound = read_sound(assembled.path)
    assert click_starts(sound) == [550 * 48]
    assert 56_056 <= sound.size < 57_080
    assert abs(sound[801 * 48 + 2048 :]).max() == 0


def test_a_long_filler_is_black_to_its_last_frame(make_order: MakeOrder) -> None:
    order = make_order(parts=(Part(kind="filler", frames=301), *make_order().parts))
    numbers = [number for number, _ in read_numbers(assemble_mix(order).path)]
    assert numbers[:311] == [0] * 301 + list(range(10))


def test_the_manifest_tells_what_is_shown_when(make_order: MakeOrder) -> None:
    order = make_order(
        song=Song(uri="song.m4a"), sidecars=("srt",), lyrics=(Lyric(text="la", start_ms=0, end_ms=9),)
    )
    assembled = assemble_mix(order)
    manifest = json.loads((order.out_dir / "manifest.json").read_text())
    assert manifest["sha256"] == assembled.sha256
    assert manifest["song"] == {"uri": "song.m4a", "offset_ms": 0, "length_ms": 2000}
    assert [(part["kind"], part["start_frame"], part["frames"]) for part in manifest["parts"]] == [
        ("clip", 0, 10),
        ("filler", 10, 5),
        ("clip", 15, 20),
        ("filler", 35, 25),
    ]
    assert [part["sha256"] for part in manifest["parts"]] == [
        order.parts[0].sha256,
        None,
        order.parts[2].sha256,
        None,
    ]
    subtitle = (order.out_dir / "video.srt").read_bytes()
    assert manifest["sidecars"] == {"video.srt": sha256(subtitle).hexdigest()}
    assert files(order) == ["manifest.json", "video.mp4", "video.srt"]


def test_the_same_order_gives_the_same_bytes(make_order: MakeOrder, tmp_path: Path) -> None:
    order = make_order(song=Song(uri="song.m4a", offset_ms=40), sidecars=("srt", "vtt"))
    elsewhere = order.model_copy(update={"mixes_dir": tmp_path / "again"})
    for each in (order, elsewhere, order):
        assemble_mix(each)
    for name in files(order):
        assert (order.out_dir / name).read_bytes() == (elsewhere.out_dir / name).read_bytes()


def test_a_killed_join_leaves_nothing_for_ever(make_order: MakeOrder) -> None:
    order = make_order()
    abandoned = order.out_dir / ".joining-dead"
    abandoned.mkdir(parents=True)
    (abandoned / "video.mp4").write_text("half")
    assemble_mix(order)
    assert files(order) == ["manifest.json", "video.mp4"]


@pytest.mark.parametrize(
    ("song", "reason"),
    [("gone.m4a", "song_unavailable"), ("text.m4a", "song_invalid"), ("clips/clip_0.mp4", "song_invalid")],
)
def test_a_bad_song_fails_the_mix(make_order: MakeOrder, tmp_path: Path, song: str, reason: str) -> None:
    (tmp_path / "text.m4a").write_text("la la la")
    order = make_order(song=Song(uri=song))
    with pytest.raises(MixError) as failed:
        assemble_mix(order)
    assert failed.value.reason == reason
    assert not order.out_dir.exists()


def test_a_clip_that_was_changed_is_never_joined(make_order: MakeOrder) -> None:
    order = make_order()
    path = order.parts[0].path
    assert path
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(MixError, match=r"part 0: clip .* was promised") as failed:
        assemble_mix(order)
    assert failed.value.reason == "join_failed"


def test_a_clip_that_is_gone(make_order: MakeOrder) -> None:
    order = make_order()
    assert order.parts[2].path
    order.parts[2].path.unlink()
    with pytest.raises(MixError, match=r"part 2: clip .* is gone"):
        assemble_mix(order)


def test_a_video_that_is_not_right_is_never_shown(make_order: MakeOrder) -> None:
    order = make_order()
    wrong = order.parts[0].model_copy(update={"frames": 11})
    with pytest.raises(MixError, match="has 10 frames, 11 were promised"):
        assemble_mix(order.model_copy(update={"parts": (wrong, *order.parts[1:])}))
    assert files(order) == []


LIMITED = """
import resource, sys
from stream_app.assembly.assemble import assemble_mix
from stream_app.assembly.order import AssembleOrder
from stream_app.domain.errors import OwnFaultError
order = AssembleOrder.model_validate_json(sys.stdin.read())
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
try:
    assemble_mix(order)
except OwnFaultError as error:
    print("own fault:", error)
"""


@pytest.mark.parametrize("percent", [2, 20, 50, 90, 99])
def test_a_disk_that_takes_no_more_is_our_own_fault(make_order: MakeOrder, percent: int) -> None:
    order = make_order(song=Song(uri="song.m4a"))
    limit = assemble_mix(order).bytes * percent // 100
    shutil.rmtree(order.out_dir)
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit)],
        input=order.model_dump_json(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "own fault" in ended.stdout, ended.stderr
    assert files(order) == []


def test_the_same_song_at_the_same_place_is_encoded_once(make_order: MakeOrder, tmp_path: Path) -> None:
    order = make_order(song=Song(uri="song.m4a", offset_ms=20))
    first = assemble_mix(order)
    (kept,) = (tmp_path / "songs").glob("*.mp4")
    made = kept.stat().st_ino
    again = assemble_mix(order.model_copy(update={"revision": 2}))
    assert again.sha256 == first.sha256
    # The same file: what is made anew is another one, under the same name.
    assert [song.stat().st_ino for song in (tmp_path / "songs").glob("*.mp4")] == [made]
    assemble_mix(make_order(song=Song(uri="song.m4a", offset_ms=40), revision=3))
    assert len(list((tmp_path / "songs").glob("*.mp4"))) == 2


def test_a_song_that_is_right_already_is_not_encoded(make_order: MakeOrder, tmp_path: Path) -> None:
    assemble_mix(make_order(song=Song(uri="song.m4a")))
    assert not (tmp_path / "songs").exists()
