from stream_app.assembly.order import Lyric
from stream_app.assembly.subtitles import subtitles

LYRICS = (
    Lyric(text="first {line}", start_ms=0, end_ms=1500),
    Lyric(text="  ", start_ms=1500, end_ms=2000),
    Lyric(text="two\r\n\r\nrows & <more> --> 歌", start_ms=61_001, end_ms=36_000_000),
)


def test_srt() -> None:
    assert subtitles(LYRICS, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,500\nfirst {line}\n\n"
        "2\n00:01:01,001 --> 10:00:00,000\ntwo\nrows & <more> --> 歌\n\n"
    )


def test_vtt_escapes_what_would_be_markup() -> None:
    assert subtitles(LYRICS, "vtt") == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:01.500\nfirst {line}\n\n"
        "00:01:01.001 --> 10:00:00.000\ntwo\nrows &amp; &lt;more&gt; --&gt; 歌\n\n"
    )


def test_no_lyrics() -> None:
    assert subtitles((), "srt") == ""
    assert subtitles((), "vtt") == "WEBVTT\n\n"
