"""The report's section on the peers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from model.training.markdown import table
from model.training.peers.tables import OURS, Count, Ours, Record, cell, is_true, our_records, seconds_a_file, tabulate


def _summary(records: Sequence[Record], who: Sequence[str]) -> str:
    """Format one row a detector: what it finds, what it rejects, what it costs."""
    rows_of = tabulate(records, lambda r: "true" if is_true(r) else "lossy")
    seconds = seconds_a_file(records)
    rows = []
    for name in who:
        true, lossy = (rows_of.get(side, {}).get(name, Count(0, 0, 0, 0)) for side in ("true", "lossy"))
        rows.append(
            (
                name,
                cell(lossy),
                cell(true),
                f"{lossy.unsure} / {true.unsure}",
                f"{lossy.no_verdict} / {true.no_verdict}",
                f"{seconds[name]:.1f}" if name in seconds else "-",
            )
        )
    header = (
        "detector",
        "lossy found (95 % interval)",
        "true rejected (95 % interval)",
        "unsure, lossy / true",
        "no verdict, lossy / true",
        "CPU-s a file",
    )
    return table(header, rows)


def _by(records: Sequence[Record], who: Sequence[str], first: str, key: Callable[[Record], str]) -> str:
    """Format one row a group, one column a detector."""
    counts = tabulate(records, key)
    rows = [(group, *(cell(counts[group].get(name)) for name in who)) for group in sorted(counts)]
    return table((first, *who), rows)


def peers_section(result: Mapping[str, Any], ours: Ours) -> str:
    """Return the section as Markdown, from its own heading on.

    Args:
        result: what ``run_peers`` wrote to ``peers.json``.
        ours: our decisions by track and file; the comparison is over the items that are here, so
            that every detector is counted on the same files.  Empty: the peers alone, on all of theirs.
    """
    records = [record for record in result["items"] if not ours or (record["track"], record["file"]) in ours]
    everyone = [*our_records(records, ours), *records]
    who = [*([OURS] if ours else []), *(about["peer"] for about in result["peers"])]
    files = len({(record["set"], record["track"], record["file"]) for record in records})
    tracks = len({(record["set"], record["track"]) for record in records})
    true = [record for record in everyone if is_true(record)]
    lossy = [record for record in everyone if not is_true(record)]
    hows = [
        f"- {about['peer']} {about['version']}: {about['how']}. Installed: {', '.join(about['packages'])}."
        for about in result["peers"]
    ]
    parts = [
        "## Other detectors on the same files",
        (
            f"{files} files of {tracks} test tracks, a fixed sample spread over treatments and encodings. "
            "Each clip is 12 s long, which is less than the peers were made for; whole songs may suit them better. "
            "A file without a verdict counts as neither found nor rejected."
        ),
        "\n".join(hows),
        _summary(everyone, who),
    ]
    if any(record["condition"] for record in records):
        parts += [
            "### Lossy found by condition",
            _by(lossy, who, "condition", lambda r: r["condition"] or "none"),
            "### True rejected by condition",
            _by(true, who, "condition", lambda r: r["condition"] or "none"),
        ]
    parts += [
        "### Lossy found by encoding",
        _by(lossy, who, "encoding", lambda r: r["name"]),
        "### True recordings rejected by treatment",
        _by(true, who, "treatment", lambda r: r["name"]),
    ]
    return "\n\n".join(parts) + "\n"
