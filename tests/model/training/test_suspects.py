"""What a calibration is told of its own recordings."""

from model.constants import TELLING_GRID_SCORE
from model.training.suspects import suspects
from tests.model.training.scored_items import scored, searched


def test_true_recordings_with_a_codecs_grid_are_named() -> None:
    """Guards calibrations on a catalogue: a decode among its true recordings would make rejections rare."""
    items = [
        scored(0.0, lossy=False, group="band", search=searched("vorbis", TELLING_GRID_SCORE)),
        scored(0.0, lossy=False, group="choir", search=searched("vorbis", TELLING_GRID_SCORE - 0.1)),
        scored(0.0, lossy=True, group="known", search=searched("vorbis", 50.0)),
        scored(0.0, lossy=False, group="unsearched"),
    ]
    (line,) = suspects(items)
    assert "band" in line
    assert "vorbis stands out by 8 sigma" in line
