"""One row after another, as `keras.ops.map` does it, but traced once."""

from collections.abc import Callable
from typing import Any

from keras import ops


def row_by_row(found: Callable[..., Any], rows: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """Return ``found`` of each row, in order: (b, *shape).

    With TensorFlow `keras.ops.map` calls ``found`` once more, only to learn the shape: where maps lie within maps the
    graph of a grid became two to eight times as large, and most of the worker's start was to make and to clean it.
    The scan's carried value says the shape; no row reads it.

    Args:
        found: takes one row's part of each of ``rows``.
        rows: each (b, ...).
        shape: of what is found in a row, float32.
    """

    def one(_: Any, index: Any) -> tuple[Any, Any]:
        result = found(*(ops.take(part, index, axis=0) for part in rows))
        return result, result

    # Over their numbers: several parts of an unknown number of rows is what Keras 3.8's scan can't take.
    return ops.scan(one, ops.zeros(shape, dtype="float32"), ops.arange(ops.shape(rows[0])[0]))[1]
