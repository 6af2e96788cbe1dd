"""What the times of packets tell of what was lost."""

from dataclasses import replace

from stream_app.cutting.damage import ReadPacket
from stream_app.cutting.rhythm import (
    contradicts_itself,
    holes,
    is_displaced,
    lost_fragments,
    strays,
    unshown,
)


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


def reordered(frames: int) -> list[ReadPacket]:
    """I P B B P B B ..., 100 units a frame."""
    shown = [0, *(3 * group + place for group in range(frames // 3) for place in (3, 1, 2))]
    return [ReadPacket(pts * 100, pts == 0, dts=k * 100 - 100) for k, pts in enumerate(shown)]


def moved(packets: list[ReadPacket], number: int, *, pts: int = 0, dts: int = 0) -> list[ReadPacket]:
    """The same with the times of one packet moved by so much."""
    packet = packets[number]
    assert packet.dts is not None
    other = ReadPacket(packet.pts + pts, packet.is_key, packet.dts + dts)
    return [*packets[:number], other, *packets[number + 1 :]]


def test_no_encoder_shows_a_frame_hours_after_its_neighbours() -> None:
    assert not is_displaced(reordered(90))
    assert not is_displaced(moved(reordered(90), 50, pts=3000))
    assert is_displaced(moved(reordered(90), 50, pts=2**30))
    assert is_displaced(moved(reordered(90), 89, pts=-(2**20)))


def test_a_long_pause_explains_frames_that_are_shown_late() -> None:
    late = [
        ReadPacket(packet.pts + 10**6 * (k > 50), packet.is_key, packet.dts)
        for k, packet in enumerate(reordered(90))
    ]
    assert is_displaced(late)
    paused = [replace(packet, dts=(packet.dts or 0) + 10**6 * (k > 50)) for k, packet in enumerate(late)]
    assert not is_displaced(paused)


def test_where_little_is_told_nothing_is_displaced() -> None:
    assert not is_displaced([])
    assert not is_displaced([ReadPacket(10**9, is_key=True, dts=0)])
    assert not is_displaced([ReadPacket(pts, is_key=False) for pts in (0, 10**9, 1)])


def test_a_frame_that_is_shown_before_it_is_decoded_is_a_contradiction() -> None:
    assert not contradicts_itself(reordered(90))
    assert contradicts_itself(moved(reordered(90), 50, pts=-1000))
    assert contradicts_itself(moved(reordered(90), 50, dts=3000))


def test_a_single_frame_that_is_decoded_out_of_turn_is_a_contradiction() -> None:
    assert contradicts_itself(moved(reordered(90), 50, dts=-300))


def test_a_clock_that_jumps_and_goes_on_from_there_is_none() -> None:
    for jump in (-4000, 10**6):
        jumped = [
            replace(packet, pts=packet.pts + jump, dts=(packet.dts or 0) + jump) for packet in reordered(90)
        ]
        assert not contradicts_itself([*reordered(90), *jumped])


def test_off_the_beat_of_a_steady_rate() -> None:
    assert strays(reordered(90)) == []
    assert strays(moved(reordered(90), 50, pts=40)) == [50]
    assert strays(moved(reordered(90), 50, pts=10)) == []


def test_a_rate_without_a_beat_has_no_strays() -> None:
    uneven = [ReadPacket(k * k * 10 + 7, is_key=False, dts=k * k * 10) for k in range(50)]
    assert strays(uneven) == []
    # Shown at half frames throughout, as a pulldown has it.
    halves = [replace(packet, pts=packet.pts + 50 * (k % 2)) for k, packet in enumerate(reordered(90))]
    assert strays(halves) == []


def lasting(packets: list[ReadPacket]) -> list[ReadPacket]:
    return [replace(packet, duration=100) for packet in packets]


def test_a_fragment_that_is_not_there_shows_by_what_frames_say_they_last() -> None:
    packets = lasting(steady(*range(0, 3000, 100), *range(4000, 6000, 100)))
    assert lost_fragments(packets) == [30]
    assert lost_fragments(packets[:30]) == []
    packets[29] = replace(packets[29], duration=1100)
    assert lost_fragments(packets) == []


def test_a_frame_that_says_another_time_leaves_its_own_empty() -> None:
    assert unshown(reordered(90)) == []
    (number,) = unshown(moved(reordered(90), 50, pts=1050))
    assert abs(number - 50) <= 2


def test_where_decoding_pauses_too_nothing_is_missing() -> None:
    late = [
        replace(packet, pts=packet.pts + 500 * (k > 51), dts=(packet.dts or 0) + 500 * (k > 51))
        for k, packet in enumerate(reordered(90))
    ]
    assert unshown(late) == []


def test_a_file_that_was_cut_without_encoding_lacks_frames_at_both_ends() -> None:
    assert unshown(reordered(90)[:-2]) == []
    assert unshown(reordered(90)[:1] + reordered(90)[3:]) == []
