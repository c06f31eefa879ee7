"""What can go wrong in the frame-grid search."""

from model.errors import ModelError


class GridError(ModelError):
    """A layer was asked for a window or a size that does not exist."""
