"""What a break in the data makes unusable."""

from stream_app.cutting.damage import REORDER, Damage, ReadPacket


def stream(frames: int, keyint: int) -> list[ReadPacket]:
    return [ReadPacket(pts, pts % keyint == 0) for pts in range(frames)]


def test_from_the_frames_that_may_be_shown_around_it_to_the_next_keyframe() -> None:
    damage = Damage.around(stream(300, 60), [100])
    assert damage.spans == ((100 - REORDER, 120),)
    assert [damage.hits(pts) for pts in (83, 84, 99, 119, 120)] == [False, True, True, True, False]


def test_at_the_end_to_the_end() -> None:
    assert Damage.around(stream(100, 250), [100]).spans == ((84, 100),)


def test_at_the_start_from_the_start() -> None:
    packets = [ReadPacket(pts, pts == 20) for pts in range(40)]
    assert Damage.around(packets, [0]).spans == ((0, 20),)


def test_leading_pictures_of_the_next_keyframe_count_too() -> None:
    packets = [ReadPacket(0, is_key=True), ReadPacket(4, is_key=True), ReadPacket(2, is_key=False)]
    damage = Damage.around(packets, [1])
    assert damage.hits(2)
    assert not damage.hits(4)


def test_no_break_no_damage() -> None:
    assert Damage.around(stream(10, 5), []).spans == ()
    assert not Damage.around([], [0]).hits(5)
