from pathlib import Path

from create_slow_render_case import as_text, main, slow_render_case
from sample_table import SAMPLES, SONG

from topics.requests import MixRequest

COMMITTED = Path(__file__).resolve().parents[3] / "media" / "slow_render_case.json"


def committed() -> MixRequest:
    return MixRequest.model_validate_json(COMMITTED.read_bytes())


def test_the_committed_file_is_what_the_generator_writes(tmp_path: Path) -> None:
    out = tmp_path / "case.json"
    assert main(["--out", str(out)]) == 0
    assert out.read_bytes() == COMMITTED.read_bytes() == as_text(slow_render_case()).encode()


def test_sixty_lines_cover_the_song_without_a_gap() -> None:
    request = committed()
    assert request.mix_id == "slow-render-case"
    assert [(line.start_ms, line.end_ms) for line in request.lines] == [
        (n, n + 3000) for n in range(0, 180_000, 3000)
    ]
    assert request.lines[-1].end_ms == SONG.duration_ms
    assert all(line.text for line in request.lines)


def test_each_candidate_lies_inside_its_source() -> None:
    sources = {sample.name: sample for sample in SAMPLES}
    for line in committed().lines:
        assert len({c.video_id for c in line.candidates}) == 2
        for candidate in line.candidates:
            source = sources[candidate.video_id]
            assert candidate.uri == f"media/samples/{source.file}"
            assert candidate.end_ms is not None
            assert candidate.end_ms - candidate.start_ms == 3000
            assert candidate.end_ms + 500 < source.seconds * 1000


def test_the_candidates_use_every_source_from_its_start_to_its_end() -> None:
    candidates = [c for line in committed().lines for c in line.candidates]
    for sample in SAMPLES:
        starts = [c.start_ms for c in candidates if c.video_id == sample.name]
        assert len(starts) >= 15
        assert len(set(starts)) == len(starts)
        assert min(starts) < sample.seconds * 200
        assert max(starts) > sample.seconds * 700


def test_the_words_try_the_letters_of_several_languages() -> None:
    words = "".join(line.text for line in committed().lines)
    assert set("üßéñøŁ,'\"%&;:") <= set(words)
