"""Points in time on the command line."""

from datetime import UTC, datetime

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
HELP = "; 2026-11-22, 2026-11-22T08:30:00 (UTC) or 2026-11-22T08:30:00+0100."


def in_utc(moment: datetime | None) -> datetime | None:
    """Take a time without a zone for UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
