"""Whether a worker takes deliveries, and a sentence for the probe that asks.  Pure."""


def readiness(*, is_publishing: bool, partitions: int, stopped_by: str | None) -> tuple[bool, str]:
    """Answer `/ready`.

    Args:
        is_publishing: the transaction coordinator has answered and the publisher is at work.
        partitions: how many are assigned.
        stopped_by: why the dead-letter brake engaged; None if it did not.
    """
    if stopped_by is not None:
        return False, f"the dead-letter brake is engaged: {stopped_by}; see the log, put it right, restart"
    if not is_publishing:
        return False, "the transaction coordinator has not answered yet"
    if not partitions:
        return False, "no partition is assigned"
    return True, f"{partitions} partitions are assigned"
