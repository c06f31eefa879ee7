"""The evaluation as Markdown: the paper's table first, then what does not flatter."""

from collections.abc import Iterable, Mapping
from typing import Any

from model.training import report_sections
from model.training.markdown import percent, table

OTHER_THRESHOLDS = (0.9, 0.95, 0.98, 0.99)
PAPER = {"balanced": 0.986, "found": 0.981, "kept": 0.991}  # Hennequin et al. 2017


_TITLES = {"ac3": "AC-3", "opus": "Opus", "vorbis": "Vorbis"}


def family_title(family: str) -> str:
    """Return a codec family as people write it."""
    return _TITLES.get(family, family.upper())


def _codec_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Format one of the codec tables."""
    cells = []
    for row in rows:
        cut = "" if row["cut_off"] == "default" else f", low-pass {row['cut_off']}"
        cells.append(
            (
                f"{family_title(row['family'])} {row['setting']} ({row['encoder']}{cut})",
                row["n"],
                row["reject"],
                row["review"],
                row["accept"],
                percent(row["share"]),
                f"{percent(row['low'])} to {percent(row['high'])}",
                f"{row['auc']:.3f}",
            )
        )
    return table(("encoding", "n", "found", "review", "missed", "found", "95 % interval", "AUC"), cells)


def _true_table(rows: Mapping[str, Mapping[str, Any]], first: str) -> str:
    """Format a table of true recordings."""
    cells = [
        (
            name,
            row["n"],
            row["accept"],
            row["review"],
            row["reject"],
            percent(row["share"]),
            f"{percent(row['low'])} to {percent(row['high'])}",
        )
        for name, row in rows.items()
    ]
    return table((first, "n", "kept", "review", "rejected", "kept", "95 % interval"), cells)


def _summary(report: Mapping[str, Any]) -> str:
    """Format the figures beside the paper's."""
    even = report["even_odds"]
    rows = [
        ("balanced accuracy at even odds", percent(even["balanced"]), percent(PAPER["balanced"])),
        ("round trips found at even odds", percent(even["found"]), percent(PAPER["found"])),
        ("originals kept at even odds", percent(even["kept"]), percent(PAPER["kept"])),
        ("round trips rejected by the policy", percent(report["lossy"]["share"]), ""),
        (
            "true recordings (originals and treated) rejected by the policy",
            percent(report["true_recordings"]["reject"] / report["true_recordings"]["n"]),
            "",
        ),
        ("AUC, originals against round trips", f"{report['auc_originals']:.3f}", ""),
        ("AUC, all true recordings against round trips", f"{report['auc_all_true']:.3f}", ""),
        ("found at 1 % false alarms (all true recordings)", percent(report["found_at_1_percent_false"]), ""),
        ("round trips above their own original", percent(report["above_own_original"]), ""),
        ("expected calibration error", f"{report['ece']:.3f}", ""),
        ("family named right, all round trips", percent(report["family_right"]), ""),
        ("family named right, rejected round trips", percent(report["family_right_when_rejected"]), ""),
    ]
    return table(("on held-out sources", "this detector", "paper (its own data)"), rows)


def _operating_points(report: Mapping[str, Any]) -> str:
    """Format what other thresholds would have done on the held-out items."""
    true, lossy = report["scores"]["true"], report["scores"]["lossy"]
    rows = []
    for threshold in sorted({report["policy"]["reject_at"], *OTHER_THRESHOLDS}):
        alarms, found = (sum(p >= threshold for p in values) for values in (true, lossy))
        rows.append(
            (f"{threshold:.4g}", percent(found / len(lossy)), f"{alarms} of {len(true)}", percent(alarms / len(true)))
        )
    return table(("reject from", "round trips found", "true recordings rejected", "share"), rows)


def render(report: Mapping[str, Any], words: Mapping[str, Any], stem: str) -> str:
    """Return the report.

    Args:
        report: what ``evaluate`` measured, with ``run`` and ``policy`` beside it.
        words: texts for ``verdict`` (what the figures mean), ``sources`` and ``next``; written by
            a person who has read the figures, empty on a first run.
        stem: of the pictures' names.
    """
    run, policy = report["run"], report["policy"]
    true = report["true_recordings"]
    decoded = report_sections.further_decodes(report.get("further_decodes"))
    sections = [
        f"# {words.get('title', report['run']['facts']['artefact'])}",
        words.get("verdict", ""),
        "## Against the targets",
        report_sections.targets(report.get("targets", []), report["ece"]),
        "## Beside the paper",
        _summary(report),
        "## Round trips by codec and bitrate",
        f"![Decisions by codec and bitrate]({stem}-confusion.png)",
        _codec_table(report["table"]),
        "The AUC of a row is that encoding against the untreated originals; it does not depend on thresholds.",
        "### Low-pass removed or forced",
        _codec_table(report["cut_off_table"]),
        "### Encoders never trained on",
        _codec_table(report["unseen_table"]),
        f"![Families]({stem}-families.png)",
        "## After the decoder, by other encoders, in parts",
        report_sections.conditions(report.get("conditions", []), lossy=True),
        "### Lossy parts of a track",
        report_sections.localisation(report["localisation"]),
        "### Decodes of further recordings, many of them of one instrument" if decoded else "",
        decoded,
        "## True recordings",
        "### Further recordings and renders, untouched, of sources used nowhere else",
        report_sections.further_true(report["further_true"]),
        "### Hard negatives, and true recordings after the same processing",
        report_sections.conditions(report.get("conditions", []), lossy=False),
        "### Of the bench, by treatment",
        _true_table({"all": true, **report["true_by_treatment"]}, "treatment"),
        "### Originals by kind of track",
        _true_table(report["true_by_kind"], "kind"),
        "### By source group (a track of two groups has its own row)",
        _true_table(report["true_by_group"], "source groups"),
        "## Beside the previous detector, on the same files",
        report_sections.compared(report.get("compared", [])),
        words.get("compared", ""),
        report.get("peers", ""),
        "## What each part adds",
        report_sections.ablations(report.get("ablations", [])),
        "Each column is calibrated anew without the part, on the same validation items.",
        "## Scores and calibration",
        f"![ROC]({stem}-roc.png)",
        f"![Scores and calibration]({stem}-scores.png)",
        (
            f"Policy {policy['version']}: reject from {policy['reject_at']}, accept below {policy['accept_below']}, "
            f"no verdict under {policy['minimum_bandwidth_hz']:.0f} Hz of bandwidth."
        ),
        "### What other thresholds would do",
        _operating_points(report),
        "These are for an operator's orientation: they were read off the test set, the released ones were not.",
        "## How it was made",
        words.get("sources", ""),
        f"![Training]({stem}-training.png)",
        "```\n" + "\n".join([*words.get("commands", ()), *run["commands"]]) + "\n```",
        table(("fact", "value"), [(key, value) for key, value in run["facts"].items()]),
        "### Source groups",
        *(
            f"{name} ({len(groups)}): " + ", ".join(f"`{group}`" for group in groups) + "."
            for name, groups in run["groups"].items()
        ),
        "## What next" if words.get("next") else "",
        words.get("next", ""),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"
