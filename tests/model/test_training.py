"""The training half: its parts, and one tiny run from folder to report."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from typer.testing import CliRunner

from model.__main__ import app
from model.artefact import load_artefact
from model.constants import BITRATE_CLASSES, FAMILIES, SEGMENT_SAMPLES, bitrate_class_index
from model.grid.combine import SHAPES
from model.grid.evidence import HALVES
from model.grid.follow import STATISTICS
from model.grid.following import CANDIDATES, KEPT
from model.grid.names import GRIDS
from model.grid.track_search import TrackSearch, search_track
from model.policy import Policy
from model.training import (
    bench,
    codecs,
    further_decodes,
    grid_search,
    mastering,
    rendering,
    round_trip,
    sources,
    tracks,
)
from model.training.bench import Item
from model.training.dataset import GROUP_ROWS, LOSSY_A_GROUP, TRUE_A_GROUP, targets
from model.training.losses import lossy_loss, masked_cross_entropy
from model.training.scoring import auc
from model.training.statistics import reliability, wilson
from tests.quick_detector import quick_follower, quick_search

try:
    round_trip.ffmpeg_binaries()
    FFMPEG = True
except round_trip.RoundTripError:
    FFMPEG = False
needs_ffmpeg = pytest.mark.skipif(not FFMPEG, reason="neither ffmpeg on PATH nor imageio-ffmpeg is installed")


def _noise(seconds: float, seed: int, rate_hz: int = 44_100) -> NDArray[np.float32]:
    """Coloured stereo noise with a beat."""
    rng = np.random.default_rng(seed)
    length = int(seconds * rate_hz)
    beat = 0.3 + 0.7 * (np.arange(length) % (rate_hz // 3) < rate_hz // 12)
    return (rng.standard_normal((length, 2)) * 0.1 * beat[:, None]).astype(np.float32)


def test_groups_are_dealt_whole_and_for_ever() -> None:
    """Guards against leaks: rules win, and a new group never moves an old one."""
    rules = (("piano*", "test"),)
    few = sources.deal(["a", "b", "piano-1"], rules)  # type: ignore[arg-type]
    many = sources.deal(["a", "b", "piano-1", *(f"new-{i}" for i in range(200))], rules)  # type: ignore[arg-type]
    assert few["piano-1"] == "test"
    assert all(many[group] == split for group, split in few.items())
    shares = [list(many.values()).count(split) / len(many) for split in sources.SPLITS]
    assert pytest.approx(shares, abs=0.1) == [0.70, 0.15, 0.15]


def test_unknown_splits_are_refused(tmp_path: Path) -> None:
    """Guards against a typo that would quietly move a source into training."""
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"tset": ["piano*"]}))
    with pytest.raises(ValueError, match="tset"):
        sources.read_rules(path)


def test_screening_names_what_it_refuses(tmp_path: Path) -> None:
    """Guards the training data: low rates, 8 bits, silence and strangers stay out."""
    good = tmp_path / "band"
    good.mkdir()
    soundfile.write(good / "good.wav", _noise(1.0, 1), 44_100, subtype="PCM_16")
    soundfile.write(good / "low.wav", _noise(1.0, 2, 22_050), 22_050, subtype="PCM_16")
    soundfile.write(good / "eight.wav", _noise(1.0, 3), 44_100, subtype="PCM_U8")
    soundfile.write(good / "silent.wav", np.zeros((44_100, 2)), 44_100, subtype="PCM_16")
    (good / "broken.flac").write_bytes(b"fLaC rubbish")
    soundfile.write(tmp_path / "stray.wav", _noise(1.0, 4), 44_100, subtype="PCM_16")
    found = sources.collect([tmp_path])
    assert [source.path.name for source in found.sources] == ["good.wav"]
    assert sum(found.refused.values()) == 5


def test_a_cliff_is_seen_and_kept_on_request(tmp_path: Path) -> None:
    """Guards the screen for already-lossy sources: a steep 16 kHz edge is left out, unless vetted."""
    (tmp_path / "band").mkdir()
    cut = mastering.low_pass(_noise(2.0, 5), 44_100, 16_000.0, np.random.default_rng(2))
    soundfile.write(tmp_path / "band" / "cut.wav", cut, 44_100, subtype="PCM_24")
    assert not sources.collect([tmp_path]).sources
    assert len(sources.collect([tmp_path], keep_cliffs=True).sources) == 1


@pytest.mark.parametrize("kind", mastering.VARIANTS)
def test_variants_keep_the_length(kind: str) -> None:
    """Guards the hard negatives: every treatment returns 16-bit audio of the same length, not silence."""
    audio = _noise(1.0, 6)
    pcm, name = mastering.variant(audio, 44_100, np.random.default_rng(1), kind)
    assert (pcm.shape, pcm.dtype, name) == (audio.shape, np.int16, kind)
    assert np.abs(pcm).max() > 1_000


def test_training_draws_cover_the_families() -> None:
    """Guards balance: nine draws hold every family, and no encoding twice."""
    drawn = codecs.training_draws(9, np.random.default_rng(3))
    assert len({encoding.name for encoding in drawn}) == 9
    assert {encoding.family for encoding in drawn} == set(FAMILIES)


def test_the_table_covers_the_families_and_the_strangers_are_strange() -> None:
    """Guards the report: all families in the table, and no held-out encoder in training."""
    assert {encoding.family for encoding in codecs.table()} == set(FAMILIES)
    trained = {encoding.encoder for encoding in codecs.training_draws(60, np.random.default_rng(4))}
    assert trained.isdisjoint(encoding.encoder for encoding in codecs.unseen_table())


@pytest.mark.parametrize(
    ("kbps", "expected"),
    [(64, "LE_96"), (96, "LE_96"), (97, "LE_160"), (224, "LE_224"), (288, "LE_288"), (320, "GT_288")],
)
def test_bitrate_classes(kbps: float, expected: str) -> None:
    """Guards the edges, which are inclusive."""
    assert expected == BITRATE_CLASSES[bitrate_class_index(kbps)]


@needs_ffmpeg
@pytest.mark.parametrize("family", FAMILIES)
def test_a_round_trip_changes_the_samples_but_not_the_music(family: str) -> None:
    """Guards the labels: every family's decode differs from its original and still sounds like it."""
    pcm = mastering.to_int16(_noise(1.5, 7), np.random.default_rng(0), dither=False)
    encoding = next(e for e in codecs.table() if e.family == family and e.kbps >= 190)
    decoded = round_trip.round_trip(pcm, 44_100, encoding)
    assert len(decoded) == pytest.approx(len(pcm), abs=4_000)
    # Delays differ between codecs: the best alignment counts.
    x, y = pcm[8_000:40_000, 0].astype(float), decoded[:60_000, 0].astype(float)
    y = np.pad(y, (0, 60_000 - len(y)))
    correlation = np.fft.irfft(np.fft.rfft(y, 131_072) * np.conj(np.fft.rfft(x, 131_072)))
    assert correlation.max() / (np.linalg.norm(x) ** 2) > 0.4  # noise is the hardest music
    assert not np.array_equal(pcm[: len(decoded)], decoded[: len(pcm)])


def test_a_missing_renderer_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the message where fluidsynth or openmpt123 is absent: the song is named, nothing half-made stays."""
    monkeypatch.setenv("PATH", str(tmp_path))
    songs = [tmp_path / "song.mid", tmp_path / "tune.xm"]
    done, errors = rendering.render_all(songs, tmp_path / "font.sf2", tmp_path / "out", 44_100)
    assert done == 0
    assert [error.split(":")[0] for error in errors] == ["song.mid", "tune.xm"]
    assert not list((tmp_path / "out").rglob("*.wav"))


@needs_ffmpeg
def test_a_failing_encoder_speaks_for_itself() -> None:
    """Guards the message: ffmpeg's own words, not an empty array."""
    with pytest.raises(round_trip.RoundTripError, match="nonesuch"):
        round_trip.round_trip(np.zeros((4_410, 2), np.int16), 44_100, codecs.Encoding("mp3", "nonesuch", "128", 128.0))


def test_targets_of_true_recordings_are_empty() -> None:
    """Guards the masked losses: a true recording has neither family nor bitrate."""
    items = [Item("o", "original", "original", 0.0, "", 44_100), Item("l", "mp3", "x", 128.0, "libmp3lame", 44_100)]
    batch = targets(items)
    assert batch["lossy_logit"].tolist() == [0.0, 1.0]
    assert batch["family_logits"].sum(axis=1).tolist() == [0.0, 1.0]
    assert batch["bitrate_logits"][1].argmax() == BITRATE_CLASSES.index("LE_160")


def test_the_loss_prefers_decodes_above_originals() -> None:
    """Guards the sign of the ranking and the order of rows within a group."""
    truth = np.array(([0.0] * TRUE_A_GROUP + [1.0] * LOSSY_A_GROUP) * 2, dtype=np.float32)
    right, wrong = 3.0 * (2 * truth - 1), -3.0 * (2 * truth - 1)
    assert len(truth) == 2 * GROUP_ROWS
    assert float(lossy_loss(truth, right)) < float(lossy_loss(truth, 0 * truth)) < float(lossy_loss(truth, wrong))


def test_rows_without_a_class_add_no_loss() -> None:
    """Guards the mask: the loss is the mean over labelled rows alone."""
    logits = np.array([[5.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    labelled = np.array([[0.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert float(masked_cross_entropy(labelled, logits)) == pytest.approx(math.log(2.0), abs=1e-5)
    assert float(masked_cross_entropy(0 * labelled, logits)) == 0.0


def test_auc_by_hand() -> None:
    """Guards the statistic against ties and direction."""
    assert auc([0.0, 1.0], [2.0, 3.0]) == 1.0
    assert auc([2.0, 3.0], [0.0, 1.0]) == 0.0
    assert auc([1.0, 1.0], [1.0]) == 0.5
    assert math.isnan(auc([], [1.0]))


def test_wilson_by_hand() -> None:
    """Guards the interval against published values."""
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert wilson(0, 100)[1] == pytest.approx(0.037, abs=1e-3)


def test_reliability_by_hand() -> None:
    """Guards the calibration error: honest scores give none, boasting gives its size."""
    assert reliability([0.0, 0.0, 1.0, 1.0], [False, False, True, True])[0] == 0.0
    assert reliability([0.99, 0.99], [False, True])[0] == pytest.approx(0.49)


def _frame_offset(samples: NDArray[np.float32]) -> int:
    """Where frames begin in a segment that says with its third sample which one it is: at 5 from the track's start."""
    return (5 - round(float(samples[2, 0])) * SEGMENT_SAMPLES) % SHAPES["mp3"][-1]


class _Counting:
    """Counts what it is asked; a search and a follower both."""

    def __init__(self) -> None:
        self.calls = 0

    def compile(self, *, jit_compile: bool) -> None:
        """Nothing to compile."""


class _Searching(_Counting):
    """A search that finds an MP3 grid, as far as each segment's first sample says."""

    def predict_on_batch(self, cut: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Answer a batch of one."""
        self.calls += 1
        samples = cut["samples"]
        assert cut["rate_hz"].tolist() == [44_100]
        scores = {grid: np.zeros(shape, np.float32) for grid, shape in SHAPES.items()}
        scores["mp3"][0, :, _frame_offset(samples[0])] = samples[0, 0, 0]
        return {"grid_scores": np.concatenate([scores[grid].reshape(-1) for grid in GRIDS])[None]}


class _Following(_Counting):
    """A follower that hears it, as far as each segment's second sample says, and next to nothing elsewhere."""

    def predict_on_batch(self, cut: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Answer a batch of one."""
        self.calls += 1
        assert cut["rate_hz"].tolist() == [44_100]
        frames = np.full((1, len(GRIDS), STATISTICS, HALVES, 2), (0.1, 1.0), np.float32)
        mp3 = GRIDS.index("mp3")
        if cut["offsets"][0, mp3] == _frame_offset(cut["followed"][0]):
            frames[0, mp3, 0, :, 0] = cut["followed"][0, 1, 0]
        return {"frames": frames}


@dataclass
class _Bench:
    """A track of two items, and the networks that look at it."""

    track: Any
    search: _Searching
    follower: _Following
    audio: NDArray[np.float32]

    def calls(self) -> tuple[int, int]:
        """Segments searched, and segments followed at one set of offsets."""
        return self.search.calls, self.follower.calls


@pytest.fixture
def small_bench(monkeypatch: pytest.MonkeyPatch) -> _Bench:
    """A track whose first item has to be followed and whose second is clear at once."""
    audio = np.zeros((5, 64, 2), np.float32)
    audio[:, 0, 0] = (1.0, 2.0, 11.0, 13.0, 1e9)  # of the search
    audio[:, 1, 0] = (6.0, 7.0, 8.0, 9.0, 0.0)  # of the follower
    audio[:, 2, 0] = np.arange(5)
    audio[:, 30, 0] = (0.1, 0.2, 1e9, 1e8, 1e10)  # the promise
    items = [SimpleNamespace(file=name, condition="", rate_hz=44_100) for name in ("original.flac", "mp3:320.flac")]
    track = SimpleNamespace(track=SimpleNamespace(id="one", split="test"), items=items)
    small = _Bench(track, _Searching(), _Following(), audio)
    monkeypatch.setattr(grid_search, "build_grid_search", lambda: small.search)
    monkeypatch.setattr(grid_search, "build_follower", lambda: small.follower)
    monkeypatch.setattr(grid_search, "segments_of", lambda _, item: audio[: 4 if item is items[0] else 5])
    return small


def _rewrite(file: Path, change: Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]) -> None:
    """Change the arrays of a stored search."""
    with np.load(file) as stored:
        arrays = change(dict(stored))
    np.savez(file, **arrays)


def test_a_search_is_kept_and_read_again(tmp_path: Path, small_bench: _Bench) -> None:
    """Guards days of work: what was found comes back by the name of the item, and is made once."""
    track = small_bench.track
    assert grid_search.read_search(tmp_path, track) is None
    assert grid_search.run_search([track], tmp_path) == 1
    # Three segments of the first item and one of the second; the first item's four at 8, 2, 2 and 2 sets of offsets.
    assert small_bench.calls() == (4, CANDIDATES + 3 * KEPT)
    assert grid_search.run_search([track], tmp_path) == 0
    assert small_bench.calls() == (4, CANDIDATES + 3 * KEPT)
    found = grid_search.read_search(tmp_path, track)
    assert found is not None
    first, second = found["original.flac"], found["mp3:320.flac"]
    assert (first.segments, first.followed) == ((2, 3, 1, 0), True)
    assert first.starts == tuple(index * SEGMENT_SAMPLES for index in (2, 3, 1, 0))
    assert (GRIDS[first.best_grid], first.offset_in(first.starts[0])) == ("mp3", (5 - 2 * SEGMENT_SAMPLES) % 576)
    assert first.segment_z.tolist() == [8.0, 9.0, 7.0, 6.0]
    assert first.best_z == pytest.approx((2 * (8.0 + 7.0 + 6.0) + 9.0) / 7**0.5)
    assert (second.segments, second.followed) == ((4,), False)  # clear at once, and beyond half precision
    assert math.isfinite(second.best_z)


def test_what_was_followed_is_kept_to_the_last_bit(tmp_path: Path, small_bench: _Bench) -> None:
    """Guards the difference between training and serving: what is read is what following said just then."""
    said: list[TrackSearch] = []

    def noted(*arguments: Any) -> TrackSearch:
        said.append(search_track(*arguments))
        return said[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid_search, "search_track", noted)
        grid_search.run_search([small_bench.track], tmp_path)
    read = grid_search.read_search(tmp_path, small_bench.track)
    assert read is not None
    for wanted, got in zip(said[-2:], read.values(), strict=True):
        np.testing.assert_array_equal(got.table, wanted.table)
        np.testing.assert_array_equal(got.segment_z, wanted.segment_z)


def test_a_silent_segment_between_others_moves_none_of_them(tmp_path: Path, small_bench: _Bench) -> None:
    """Guards offsets: a segment that is not searched still lies between those that are."""
    small_bench.audio[1] = 0.0
    grid_search.run_search([small_bench.track], tmp_path)
    found = grid_search.read_search(tmp_path, small_bench.track)
    assert found is not None
    first = found["original.flac"]
    assert first.segments == (2, 3, 0)
    assert first.starts == tuple(index * SEGMENT_SAMPLES for index in (2, 3, 0))


def test_fewer_segments_are_read_where_they_are_clear(tmp_path: Path, small_bench: _Bench) -> None:
    """Guards the trials of fewer segments: they count what was stored of them, and refuse what was never followed."""
    items = small_bench.track.items
    grid_search.run_search([small_bench.track], tmp_path)
    small_bench.track.items = items[1:]
    fewer = grid_search.read_search(tmp_path, small_bench.track, most=1)
    assert fewer is not None
    assert {name: search.segments for name, search in fewer.items()} == {"mp3:320.flac": (4,)}


def test_stored_scores_are_completed_by_following_alone(tmp_path: Path, small_bench: _Bench) -> None:
    """Guards days of work: scores of the time before anything was followed are not computed again."""
    grid_search.run_search([small_bench.track], tmp_path)
    wanted = grid_search.read_search(tmp_path, small_bench.track)
    file = grid_search.searched_file(tmp_path, small_bench.track)
    _rewrite(file, lambda arrays: {k: v for k, v in arrays.items() if k.rsplit(":", 1)[1] in ("scores", "segments")})
    assert grid_search.read_search(tmp_path, small_bench.track) is None
    before = small_bench.calls()
    assert grid_search.run_search([small_bench.track], tmp_path) == 1
    assert small_bench.calls() == (before[0], before[1] + CANDIDATES + 3 * KEPT)
    completed = grid_search.read_search(tmp_path, small_bench.track)
    assert wanted is not None
    assert completed is not None
    assert {name: each.best_z for name, each in completed.items()} == {
        name: each.best_z for name, each in wanted.items()
    }


def test_only_new_candidates_are_followed(tmp_path: Path, small_bench: _Bench) -> None:
    """Guards days of work: where one segment's answer is missing, the others are not asked for again."""
    grid_search.run_search([small_bench.track], tmp_path)

    def without_the_last(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        followed = [f"original.flac:{key}" for key in ("followed_segments", "offsets", "frames")]
        return {name: value[:-1] if name in followed else value for name, value in arrays.items()}

    _rewrite(grid_search.searched_file(tmp_path, small_bench.track), without_the_last)
    assert grid_search.read_search(tmp_path, small_bench.track) is None
    before = small_bench.calls()
    assert grid_search.run_search([small_bench.track], tmp_path) == 1
    assert small_bench.calls() == (before[0], before[1] + 1)
    assert grid_search.read_search(tmp_path, small_bench.track) is not None


@pytest.mark.parametrize("missing", ["original.flac:frames", "original.flac:order", "mp3:320.flac", "original.flac"])
def test_a_search_that_lacks_something_is_refused(tmp_path: Path, small_bench: _Bench, missing: str) -> None:
    """Guards against half a search: a track of which something was not looked at must not be reported."""
    grid_search.run_search([small_bench.track], tmp_path)
    file = grid_search.searched_file(tmp_path, small_bench.track)
    _rewrite(file, lambda arrays: {key: value for key, value in arrays.items() if not key.startswith(missing)})
    assert grid_search.read_search(tmp_path, small_bench.track) is None
    assert grid_search.run_search([small_bench.track], tmp_path) == 1
    assert grid_search.read_search(tmp_path, small_bench.track) is not None


def test_a_search_of_other_grids_is_made_anew(
    tmp_path: Path, small_bench: _Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards the layout: scores of another length belong to other grids or offsets."""
    grid_search.run_search([small_bench.track], tmp_path)
    monkeypatch.setattr(grid_search, "SCORES", 7)
    assert grid_search.read_search(tmp_path, small_bench.track) is None


@needs_ffmpeg
def test_from_a_folder_to_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the whole road: corpus, bench, further clips, train, calibrate, evaluate on a handful of noise tracks."""
    # One segment a track and one draw a family: the road is tested, not the detector.
    for split in sources.SPLITS:
        monkeypatch.setitem(tracks.SEGMENTS_A_TRACK, split, 1)
        monkeypatch.setitem(bench.ENCODINGS_A_TRACK, split, 7)
    networks = quick_search(), quick_follower()
    monkeypatch.setattr(grid_search, "_networks", lambda: networks)
    monkeypatch.setattr(further_decodes, "ENCODINGS", ("mp3-libmp3lame-320", "wma-wmav2-192"))
    for group in range(5):
        folder = tmp_path / ("audio" if group < 4 else "further") / f"group-{group}"
        folder.mkdir(parents=True)
        soundfile.write(folder / "take.flac", _noise(14.0, 20 + group), 44_100, subtype="PCM_16")
    splits = {"train": ["group-0"], "validation": ["group-1", "group-2"], "test": ["group-3"]}
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    work, out, reports = tmp_path / "work", tmp_path / "out", tmp_path / "reports"

    def run(*arguments: str, folder: Sequence[str] = ("--work", str(work))) -> None:
        result = CliRunner().invoke(app, [*arguments, *folder], catch_exceptions=False)
        assert result.exit_code == 0, result.output

    def further(step: str, came_from: str, read: Path) -> None:
        options = (f"--{came_from}", str(read), "--out", str(work / step), "--clips", "1", "--split", "validation")
        run(step, *options, folder=())

    counts = ("--train-tracks", "1", "--validation-tracks", "3", "--test-tracks", "1")
    run("corpus", "--audio", str(tmp_path / "audio"), "--splits", str(tmp_path / "splits.json"), *counts)
    run("bench")
    further("truths", "audio", tmp_path / "further")
    further("decodes", "truths", work / "truths")
    run("train", "--steps", "2", "--groups", "1", "--check-every", "2")
    run("search")
    run("calibrate", "--version", "9", "--out", str(out))
    run("evaluate", "--model-dir", str(out), "--reports", str(reports))

    artefact, policy = load_artefact(out), Policy.load(out / "policy.json")
    assert (artefact.version, policy.version) == ("9", "9")
    assert artefact.metadata["calibration_groups"] == ["group-1", "group-2", "truth-group-4"]
    report = json.loads((reports / "spectrogram-grid.json").read_text())
    assert report["source_groups"] == ["group-3"]
    assert {row["family"] for row in report["table"]} == set(FAMILIES)
    assert "MP3 320" in (reports / "spectrogram-grid.md").read_text()
    for name in ("confusion", "scores", "training"):
        assert (reports / f"spectrogram-grid-{name}.png").stat().st_size > 5_000
    assert artefact.spectrogram.predict_on_batch(np.zeros((1, SEGMENT_SAMPLES, 2), np.float32))[
        "lossy_logit"
    ].shape == (1,)
