"""What can go wrong in the frame-grid search."""

from model.errors import ModelError


class GridError(ModelError):
    """A layer was asked for a window, a size or a number of stretches that it can't have."""
