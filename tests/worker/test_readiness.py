"""The probe's answer: ready only while deliveries are taken and published."""

import pytest

from worker.readiness import readiness


@pytest.mark.parametrize(
    ("is_publishing", "partitions", "stopped_by", "expected", "word"),
    [
        (True, 3, None, True, "3 partitions"),
        (False, 3, None, False, "coordinator"),
        (True, 0, None, False, "no partition"),
        (True, 3, "too many", False, "dead-letter brake is engaged: too many"),
    ],
)
def test_each_reason_has_its_answer(
    is_publishing: bool,  # noqa: FBT001 -- a test's parameter
    partitions: int,
    stopped_by: str | None,
    expected: bool,  # noqa: FBT001 -- a test's parameter
    word: str,
) -> None:
    """A worker that publishes nothing must not look ready, and says why."""
    is_ready, why = readiness(is_publishing=is_publishing, partitions=partitions, stopped_by=stopped_by)
    assert is_ready == expected
    assert word in why
