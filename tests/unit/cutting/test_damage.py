"""What a break in the data makes unusable."""

from stream_app.cutting.damage import REORDER, Damage, ReadPacket, holes


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


def steady(*dts: int) -> list[ReadPacket]:
    return [ReadPacket(time, is_key=False, dts=time) for time in dts]


def test_a_hole_in_a_steady_rate_is_a_loss() -> None:
    assert holes(steady(*range(0, 3000, 100), *range(3500, 6000, 100))) == [30]


def test_a_clock_in_ms_is_steady_too() -> None:
    assert holes(steady(*(round(k * 1000 / 29.97) for k in range(100)))) == []


def test_a_variable_rate_has_no_holes() -> None:
    assert holes(steady(*(k * k * 10 for k in range(50)))) == []


def test_without_times_of_decoding_there_is_nothing_to_tell() -> None:
    assert holes([ReadPacket(pts, is_key=False) for pts in (0, 100, 200, 900, 1000)]) == []


def test_frames_that_should_have_come_after_the_last_packet_are_a_loss_at_the_end() -> None:
    """P comes before the B that it follows on the screen; the file ends between the two."""
    shown = [0, *(4 * group + place for group in range(30) for place in (4, 2, 1, 3))]
    packets = [ReadPacket(pts * 100, pts == 0, dts=k * 100 - 200) for k, pts in enumerate(shown)]
    assert holes(packets) == []
    assert holes(packets[:-1]) == [len(packets) - 1]
    assert holes(packets[:-3]) == [len(packets) - 3]
