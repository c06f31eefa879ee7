"""The report's sections beyond the codec tables: targets, conditions, comparisons, ablations, localisation."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from model.training.markdown import percent, table
from model.training.unchanged import NEARLY_LOSSLESS

CALIBRATION_ERROR_AT_MOST = 0.02


def targets(rows: Iterable[Mapping[str, Any]], calibration_error: float | None = None) -> str:
    """Format the table of targets, met or missed; the calibration error is no share of items and has no interval."""
    words = {True: "met", False: "**missed**", None: "not measured"}
    cells = [
        (
            row["measure"],
            row["target"],
            percent(row["hits"] / row["n"]) if row["n"] else "n/a",
            f"{row['hits']} of {row['n']}",
            f"{percent(row['low'])} to {percent(row['high'])}" if row["n"] else "",
            words[row["met"]],
        )
        for row in rows
    ]
    if calibration_error is not None:
        met = words[calibration_error <= CALIBRATION_ERROR_AT_MOST]
        bound = f"≤ {100 * CALIBRATION_ERROR_AT_MOST:g} %"
        cells.append(("calibration error (ECE) on the bench", bound, percent(calibration_error), "", "", met))
    return table(("measure", "target", "measured", "n", "95 % interval", ""), cells)


def conditions(rows: Sequence[Mapping[str, Any]], *, lossy: bool) -> str:
    """Format the condition matrix of round trips or of true recordings."""
    cells = [
        (
            row["condition"],
            row["n"],
            row["reject"],
            row["review"],
            row["accept"],
            f"{percent(row['low'])} to {percent(row['high'])}",
        )
        for row in rows
        if row["lossy"] is lossy
    ]
    names = ("found", "review", "missed") if lossy else ("rejected", "review", "kept")
    interval = "found, 95 % interval" if lossy else "rejected, 95 % interval"
    return table(("condition", "n", *names, interval), cells) if cells else ""


def further_true(figures: Mapping[str, Any]) -> str:
    """Format the further true recordings."""
    if not figures["n"]:
        return ""
    cells = [(kind, row["n"], row["reject"], row["review"], row["accept"]) for kind, row in figures["by_kind"].items()]
    everything = ("all", figures["n"], figures["reject"], figures["review"], figures["accept"])
    text = table(("kind", "n", "rejected", "review", "kept"), [everything, *cells])
    named = ", ".join(figures["rejected_items"]) or "none"
    interval = f"{percent(figures['low'])} to {percent(figures['high'])}"
    return (
        f"{text}\n\nRejected: {percent(figures['reject'] / figures['n'])} (95 % interval {interval}).\n"
        f"By source group: {figures['with_a_false_rejection']} of {figures['groups']} groups have one. "
        f"Rejected recordings: {named}.{_proven(figures.get('looked_at', []))}"
    )


def further_decodes(figures: Mapping[str, Any] | None) -> str:
    """Format the decodes of further recordings; reports before 0.8 have none."""
    if not figures or not figures["n"]:
        return ""

    def rows(key: str) -> str:
        cells = [
            (
                row["name"],
                row["n"],
                row["reject"],
                row["review"],
                row["accept"],
                row.get("not_found_but_nearly_lossless", "n/a"),
                percent(row["reject"] / row["n"]),
                f"{percent(row['low'])} to {percent(row['high'])}",
            )
            for row in figures[key]
        ]
        header = ("of " + ("encoding" if key == "by_encoding" else "kind"), "n", "found", "review", "missed")
        return table((*header, "nearly lossless", "found", "95 % interval"), cells)

    return (
        f"{figures['n']} decodes of {figures['clips']} clips; {figures['no_treble']} of them go to review for want of "
        "treble. Nearly lossless: of those not found, the ones whose samples are "
        f"{100 * NEARLY_LOSSLESS:.0f} % and more exactly their original's, so that there is next to nothing to find."
        f"\n\n{rows('by_encoding')}\n\n{rows('by_kind')}"
    )


def _proven(rows: Sequence[Mapping[str, Any]]) -> str:
    """Name what was left out as a decode, and what it would change."""
    proven = [row for row in rows if row["proven"]]
    if not proven:
        return ""
    named = "; ".join(
        f"{row['item']}: {row['grid']} at {row['offset_samples']} samples, {row['z']:.0f} sigma" for row in proven
    )
    return (
        f"\n\nNot counted: {len(proven)} more that were rejected: they are decodes by a proof that owes nothing to "
        "holes. Their coefficients that were *not* quantised to zero lie on n^(4/3) times a step at just the frame "
        f"offset that the detector names, and nowhere beside it: {named}."
    )


def compared(tables: Iterable[Sequence[Mapping[str, Any]]]) -> str:
    """Format the comparisons, each on the items that both detectors judged."""
    cells = [
        (
            row["detector"],
            row["lossy"]["n"],
            _share(row["lossy"], "reject"),
            _share(row["lossy"], "accept"),
            row["true"]["n"],
            _share(row["true"], "reject"),
            _share(row["true"], "review"),
        )
        for rows in tables
        for row in rows
    ]
    header = ("detector", "round trips", "found", "missed", "true recordings", "rejected", "to review")
    return table(header, cells) if cells else ""


def ablations(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format what each part adds: on the bench, and found by condition."""
    if not rows:
        return ""
    names = [row["name"] for row in rows]
    cells: list[tuple[object, ...]] = [
        ("bench: round trips found", *(_share(row["lossy"], "reject") for row in rows)),
        ("bench: round trips missed", *(_share(row["lossy"], "accept") for row in rows)),
        ("bench: true recordings rejected", *(_share(row["true"], "reject") for row in rows)),
        ("bench: true recordings to review", *(_share(row["true"], "review") for row in rows)),
    ]
    by_name = [{(c["condition"], c["lossy"]): c for c in row["conditions"]} for row in rows]
    for condition, lossy in by_name[0]:
        if lossy:
            cells.append((f"{condition}: found", *(_share(one[condition, True], "reject") for one in by_name)))
    return table(("on the same items", *names), cells)


def localisation(figures: Mapping[str, Any]) -> str:
    """Say how well lossy inserts were pointed at."""
    if not figures["inserts"]:
        return ""
    return (
        f"{figures['found']} of {figures['inserts']} lossy inserts of 5 s were pointed at by a segment on them "
        f"(95 % interval {percent(figures['low'])} to {percent(figures['high'])}); of {figures['twins']} tracks "
        f"without an insert {figures['twins_accused']} had a suspicious segment "
        f"({figures['clean_segments_accused']} of {figures['clean_segments']} segments)."
    )


def _share(row: Mapping[str, Any], kind: str) -> str:
    return percent(row[kind] / row["n"]) if row["n"] else "n/a"
