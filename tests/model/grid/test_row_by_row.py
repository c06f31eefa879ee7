"""Rows one after another: the answers of a map, at the price of one trace."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from model.grid.row_by_row import row_by_row

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
TIMES = np.array([1.0, 2.0, -1.0, 0.5], np.float32)


def _found(row: Any, times: Any) -> Any:
    return ops.stack([ops.sum(row) * times, times])


@pytest.mark.parametrize("count", [1, 4])
def test_each_row_gets_its_own_answer_in_order(count: int) -> None:
    """Guards evidence against rows mixed up, or one row's answer carried into the next; and one row alone."""
    got = row_by_row(_found, (ops.convert_to_tensor(ROWS[:count]), ops.convert_to_tensor(TIMES[:count])), (2,))
    np.testing.assert_array_equal(got, np.stack([ROWS.sum(axis=1) * TIMES, TIMES], axis=1)[:count])


def test_rows_inside_rows_of_any_number_are_traced_once() -> None:
    """Guards the start of the worker: traced twice at each level, its graphs were twice to eight times as large."""
    traced = []

    def inner(value: Any) -> Any:
        traced.append(value)
        return 2.0 * value

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32)], autograph=False)
    def run(rows: Any) -> Any:
        return row_by_row(lambda row: row_by_row(inner, (row,), ()), (rows,), (3,))

    for count in (4, 2):
        np.testing.assert_array_equal(run(ROWS[:count]), 2.0 * ROWS[:count])
    assert len(traced) == 1
