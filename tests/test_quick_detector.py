"""The stand-in for the released detector takes and gives what that one does."""

from typing import Any

import keras

from model.grid.follow import build_follower
from model.grid.search import build_grid_search
from tests.quick_detector import quick_follower, quick_search


def _ends(network: keras.Model) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return names, shapes and types of what goes in and comes out."""
    ends = [{name: (each.shape, each.dtype) for name, each in side.items()} for side in (network.input, network.output)]
    return ends[0], ends[1]


def test_the_stand_in_fits_where_the_grids_do() -> None:
    """Guards every test that uses it: they would pass with a detector that the worker can't serve."""
    assert _ends(quick_search()) == _ends(build_grid_search(effort=0.0))
    assert _ends(quick_follower()) == _ends(build_follower(effort=0.0))
