"""A small detector of the released one's kind: untrained, and it searches a fraction of what that one does.

A delivery costs a fraction of the time, and what happens around the detector is the same.
"""

from pathlib import Path

import keras

from model.artefact import save_artefact
from model.grid.follow import build_follower
from model.grid.search import build_grid_search
from model.network import build_network, join_detector
from model.pooling import Calibration


def save_quick_detector(folder: Path) -> Path:
    """Make it and save it into a folder that exists; returns the folder."""
    keras.utils.set_random_seed(1)
    network = join_detector(
        build_network(filters=(2, 2, 2, 2)), build_grid_search(effort=0.1), build_follower(effort=0.1)
    )
    save_artefact(folder, network, name="quick", version="0", calibration=Calibration())
    return folder
