"""A small detector of the released one's kind: untrained, and it has neither grids to search nor to follow.

To load and warm it up takes two CPU-seconds instead of sixty, and what happens around the detector is the same.
"""

from pathlib import Path

import keras

from model.artefact import save_artefact
from model.constants import SEGMENT_CHANNELS, SEGMENT_SAMPLES
from model.grid.combine import SCORES
from model.grid.evidence import HALVES
from model.grid.follow import FOLLOWER_NAME, STATISTICS
from model.grid.names import GRIDS
from model.grid.search import SEARCH_NAME
from model.network import build_network, join_detector
from model.pooling import Calibration


def _row(samples: keras.KerasTensor, length: int) -> keras.KerasTensor:
    """(b, n, 2) -> (b, length): next to nothing at all places."""
    mean = keras.layers.Reshape((SEGMENT_CHANNELS, 1))(keras.layers.GlobalAveragePooling1D()(samples))
    padded = keras.layers.ZeroPadding1D((0, length - SEGMENT_CHANNELS))(mean)
    row: keras.KerasTensor = keras.layers.Reshape((length,))(padded)
    return row


def quick_search() -> keras.Model:
    """Build what takes and gives what ``build_grid_search`` does, and finds nothing."""
    samples = keras.Input((SEGMENT_SAMPLES, SEGMENT_CHANNELS), dtype="float32", name="samples")
    rate = keras.Input((), dtype="int32", name="rate_hz")
    return keras.Model({"samples": samples, "rate_hz": rate}, {"grid_scores": _row(samples, SCORES)}, name=SEARCH_NAME)


def quick_follower() -> keras.Model:
    """Build what takes and gives what ``build_follower`` does, and finds nothing."""
    samples = keras.Input((SEGMENT_SAMPLES, SEGMENT_CHANNELS), dtype="float32", name="followed")
    offsets = keras.Input((len(GRIDS),), dtype="int32", name="offsets")
    rate = keras.Input((), dtype="int32", name="rate_hz")
    shape = (len(GRIDS), STATISTICS, HALVES, 2)
    frames = keras.layers.Reshape(shape)(_row(samples, len(GRIDS) * STATISTICS * HALVES * 2))
    return keras.Model(
        {"followed": samples, "offsets": offsets, "rate_hz": rate}, {"frames": frames}, name=FOLLOWER_NAME
    )


def save_quick_detector(folder: Path) -> Path:
    """Make it and save it into a folder that exists; returns the folder."""
    keras.utils.set_random_seed(1)
    network = join_detector(build_network(filters=(2, 2, 2, 2)), quick_search(), quick_follower())
    save_artefact(folder, network, name="quick", version="0", calibration=Calibration())
    return folder
