"""Playlists: what is read, what is refused."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.domain.errors import SourceError
from stream_app.sources.hls.playlist import (
    Key,
    MasterPlaylist,
    MediaPlaylist,
    Resource,
    is_playlist,
    read_playlist,
)
from topics.reasons import FallbackReason

URL = "https://user:pw@cdn.example/films/1/index.m3u8?token=secret"
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
END = "\n#EXT-X-ENDLIST\n"


def media(body: str) -> MediaPlaylist:
    playlist = read_playlist((HEAD + body + END).encode(), URL)
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def refusal(text: str | bytes) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read_playlist(text if isinstance(text, bytes) else text.encode(), URL)
    assert "secret" not in str(caught.value)
    assert "pw@" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"#EXTM3U\n#EXT", True),
        (b"\xef\xbb\xbf#EXTM3U\r\n", True),
        (b"#EXTM3U", True),
        (b"#EXTM3U8\n", False),
        (b"#EXTINF:4,\n", False),
        (b"\x00\x00\x00\x18ftypmp42", False),
        (b"", False),
    ],
)
def test_a_playlist_is_known_by_its_head(head: bytes, expected: bool) -> None:  # noqa: FBT001
    assert is_playlist(head) is expected


def test_addresses_are_relative_to_the_playlist() -> None:
    playlist = media(
        "#EXTINF:4,\na.ts?x=1\n#EXTINF:3.5,\n/b.ts\n#EXTINF:4,\n//other.example/c.ts\n#EXTINF:1,\nhttp://d/e"
    )
    assert [segment.media.url for segment in playlist.segments] == [
        "https://user:pw@cdn.example/films/1/a.ts?x=1",
        "https://user:pw@cdn.example/b.ts",
        "https://other.example/c.ts",
        "http://d/e",
    ]
    assert [segment.length for segment in playlist.segments] == [4, Fraction(7, 2), 4, 1]
    assert [segment.number for segment in playlist.segments] == [0, 1, 2, 3]


def test_keys_hold_until_the_next_one() -> None:
    first, second, third, fourth = media(
        "#EXT-X-MEDIA-SEQUENCE:258\n#EXTINF:4,\n0.ts\n"
        '#EXT-X-KEY:METHOD=AES-128,URI="k1"\n#EXTINF:4,\n1.ts\n'
        '#EXT-X-KEY:METHOD=AES-128,URI="k2",IV=0X0a0B,KEYFORMAT="identity"\n#EXTINF:4,\n2.ts\n'
        "#EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\n3.ts"
    ).segments
    base = "https://user:pw@cdn.example/films/1/"
    assert first.media.key is fourth.media.key is None
    assert second.media.key == Key(base + "k1", bytes(14) + b"\x01\x03")
    assert third.media.key == Key(base + "k2", bytes(14) + b"\x0a\x0b")


def test_byte_ranges_go_on_where_the_last_one_of_the_address_ended() -> None:
    playlist = media(
        '#EXT-X-MAP:URI="all.mp4",BYTERANGE="700@0"\n'
        "#EXTINF:4,\n#EXT-X-BYTERANGE:100@700\nall.mp4\n#EXTINF:4,\n#EXT-X-BYTERANGE:50\nall.mp4\n"
        "#EXT-X-BYTERANGE:9\n#EXTINF:4,\nother.mp4\n#EXTINF:4,\n#EXT-X-BYTERANGE:25\nall.mp4\n#EXTINF:4,\nwhole.mp4"
    )
    spans = [(700, 800), (800, 850), (0, 9), (850, 875), None]
    assert [segment.media.span for segment in playlist.segments] == spans
    expected = Resource("https://user:pw@cdn.example/films/1/all.mp4", (0, 700))
    assert {segment.map for segment in playlist.segments} == {expected}


def test_a_map_has_the_key_in_force_where_it_stands() -> None:
    key = '#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x01\n'
    clear_map, same_map, other_map = media(
        f'#EXT-X-MAP:URI="m1"\n{key}#EXTINF:4,\n0.m4s\n#EXTINF:4,\n1.m4s\n'
        '#EXT-X-MAP:URI="m2"\n#EXTINF:4,\n2.m4s'
    ).segments
    assert clear_map.map == same_map.map
    assert (clear_map.map or Resource("")).key is None
    assert (other_map.map or Resource("")).key == clear_map.media.key


def test_discontinuities_make_groups_and_gaps_are_known() -> None:
    playlist = media(
        "#EXT-X-DISCONTINUITY\n#EXTINF:4,\n0.ts\n#EXT-X-DISCONTINUITY-SEQUENCE:9\n#EXTINF:4,\n#EXT-X-GAP\n1.ts\n"
        "#EXT-X-DISCONTINUITY\n#EXTINF:4,\n2.ts\n#EXTINF:4,\n3.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\n4.ts"
    )
    assert [segment.group for segment in playlist.segments] == [0, 0, 1, 1, 2]
    assert [segment.is_gap for segment in playlist.segments] == [False, True, False, False, False]


def test_what_does_not_matter_may_be_wrong() -> None:
    playlist = media(
        "#EXT-X-PROGRAM-DATE-TIME:yesterday\n#EXT-X-DATERANGE:DURATION=long\n# a comment\n"
        "#EXT-X-CUE-OUT\n#EXT-X-SERVER-CONTROL:HOLD-BACK=x\n#EXTINF:4.0,title, with a comma\n0.ts"
    )
    assert len(playlist.segments) == 1


@pytest.mark.parametrize("end", ["#EXT-X-ENDLIST", "#EXT-X-PLAYLIST-TYPE:VOD"])
def test_a_recording_is_whole(end: str) -> None:
    assert read_playlist(f"{HEAD}#EXTINF:4,\n0.ts\n{end}".encode(), URL)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{HEAD}#EXTINF:4,\n0.ts\n", "live stream"),
        (f"{HEAD}#EXT-X-PLAYLIST-TYPE:EVENT\n#EXTINF:4,\n0.ts\n", "live stream"),
        (f"{HEAD}#EXT-X-I-FRAMES-ONLY\n#EXTINF:4,\n0.ts{END}", "key frames only"),
        (f'{HEAD}#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x"\n#EXTINF:4,\n0.ts{END}', "protected"),
        (f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="k",KEYFORMAT="com.x"\n#EXTINF:4,\n0.ts{END}', "protected"),
        (
            f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXT-X-MAP:URI="m"\n#EXTINF:4,\n0.ts{END}',
            "without an IV",
        ),
        (f"{HEAD}#EXT-X-DEFINE:NAME=a,VALUE=b\n#EXTINF:4,\n{{$a}}.ts{END}", "EXT-X-DEFINE"),
        (f"{HEAD}{END}", "no segments"),
        (f"{HEAD}#EXTINF:many,\n0.ts{END}", "cannot be read"),
        (f"{HEAD}#EXTINF:nan,\n0.ts{END}", "cannot be read"),
        (f"{HEAD}#EXTINF:-1,\n0.ts{END}", "cannot be read"),
        (f"{HEAD}#EXTINF:inf,\n0.ts{END}", "cannot be read"),
        (f"{HEAD}#EXTINF:4,\n#EXT-X-BYTERANGE:0@5\n0.ts{END}", "cannot be read"),
        (f"{HEAD}#EXTINF:4,\n#EXT-X-BYTERANGE:5@-5\n0.ts{END}", "cannot be read"),
        (f"{HEAD}#EXT-X-BYTERANGE:5@5\n0.ts{END}", "cannot be read"),
        (f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x{"f" * 33}\n#EXTINF:4,\n0.ts{END}', "cannot be read"),
        (f"{HEAD}#EXT-X-KEY:METHOD=AES-128\n#EXTINF:4,\n0.ts{END}", "cannot be read"),
        (f"{HEAD}{END}".encode() + b"\xff\xfe", "UTF-8"),
        (HEAD + "#EXTINF:1,\ns\n" * 50_001 + END, "more than 50000 segments"),
        (HEAD + "# " + "x" * 5_000_000 + END, "bytes"),
    ],
)
def test_what_cannot_be_cut_from_is_refused(text: str | bytes, why: str) -> None:
    error = refusal(text)
    assert error.reason is FallbackReason.SOURCE_INVALID
    assert why in str(error)
    assert "https://cdn.example/films/1/index.m3u8" in str(error)


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://h/a.ts", "data:,x", "gopher://h/", "concat:a"]
)
def test_only_http_is_followed(address: str) -> None:
    for text in (
        f"{HEAD}#EXTINF:4,\n{address}{END}",
        f'{HEAD}#EXT-X-MAP:URI="{address}"\n#EXTINF:4,\n0.m4s{END}',
        f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="{address}"\n#EXTINF:4,\n0.ts{END}',
        f"{HEAD}#EXT-X-STREAM-INF:BANDWIDTH=1\n{address}\n",
    ):
        assert refusal(text).reason is FallbackReason.SOURCE_REFUSED


def test_a_master_playlist_has_variants() -> None:
    playlist = read_playlist(
        b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="a.m3u8"\n'
        b"#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=1280x720,"
        b'CODECS="avc1.64001f,mp4a.40.2",AUDIO="a",VIDEO-RANGE=PQ\nhigh.m3u8\n'
        b"#EXT-X-STREAM-INF:PROGRAM-ID=1\nlow.m3u8\n",
        URL,
    )
    assert isinstance(playlist, MasterPlaylist)
    high, low = playlist.variants
    assert (high.url, low.url) == tuple(
        f"https://user:pw@cdn.example/films/1/{n}.m3u8" for n in ("high", "low")
    )
    assert (high.width, high.height, high.bandwidth) == (1280, 720, 900_000)
    assert (high.codecs, high.range) == ("avc1.64001f,mp4a.40.2", "PQ")
    assert (low.width, low.bandwidth, low.codecs) == (0, 0, "")


LINES = st.one_of(
    st.sampled_from(
        [
            "#EXTINF:4,",
            "#EXTINF:",
            "a.ts",
            "#EXT-X-ENDLIST",
            "#EXT-X-DISCONTINUITY",
            "#EXT-X-GAP",
            "#EXT-X-BYTERANGE:5@5",
            "#EXT-X-BYTERANGE:@",
            '#EXT-X-KEY:METHOD=AES-128,URI="k"',
            "#EXT-X-KEY:",
            '#EXT-X-MAP:URI="m"',
            "#EXT-X-MAP",
            "#EXT-X-STREAM-INF:BANDWIDTH=1",
            "#EXT-X-STREAM-INF:RESOLUTION=x",
            "#EXT-X-MEDIA-SEQUENCE:-3",
            "#EXT-X-MEDIA-SEQUENCE:x",
            "http://[",
        ]
    ),
    st.text(max_size=30),
)


@given(st.lists(LINES, max_size=12))
def test_any_text_is_read_or_refused(lines: list[str]) -> None:
    data = "\n".join(["#EXTM3U", *lines]).encode(errors="surrogatepass")
    try:
        playlist = read_playlist(data, URL)
    except SourceError as error:
        assert error.reason in {FallbackReason.SOURCE_INVALID, FallbackReason.SOURCE_REFUSED}  # noqa: PT017
    else:
        assert isinstance(playlist, MasterPlaylist | MediaPlaylist)
