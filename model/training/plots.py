"""The report's pictures, drawn from its JSON."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from model.training.report import family_title

_INK, _TRUE, _LOSSY, _REVIEW = "#222222", "#2a7f9e", "#c8553d", "#d9b44a"
_DPI = 130


def _finish(figure: Any, path: Path) -> None:
    """Save and close; a closed figure frees its memory."""
    figure.savefig(path, dpi=_DPI, bbox_inches="tight", facecolor="white")
    plt.close(figure)


def confusion(report: dict[str, Any], path: Path) -> None:
    """Draw the paper's table: one bar a codec and bitrate, and the true recordings below."""
    rows: list[tuple[str, dict[str, Any]]] = [
        (f"{family_title(row['family'])} {row['setting']}", row) for row in report["table"]
    ]
    rows += [(f"true: {name}", row) for name, row in report["true_by_treatment"].items()]
    figure, axes = plt.subplots(figsize=(8.5, 0.27 * len(rows) + 1.2))
    left = np.zeros(len(rows))
    for kind, colour, label in (
        ("reject", _LOSSY, "rejected"),
        ("review", _REVIEW, "to review"),
        ("accept", _TRUE, "accepted"),
    ):
        share = np.array([row[kind] / row["n"] for _, row in rows])
        axes.barh(range(len(rows)), share, left=left, color=colour, label=label, height=0.78)
        left += share
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.axhline(len(report["table"]) - 0.5, color=_INK, linewidth=1.0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of held-out items")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    _finish(figure, path)


def scores(report: dict[str, Any], thresholds: tuple[float, float], path: Path) -> None:
    """Draw the scores of true and lossy items, and how far they can be taken at their word."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
    bins = np.linspace(0.0, 1.0, 41)
    for key, colour, label in (("true", _TRUE, "true recordings"), ("lossy", _LOSSY, "round trips")):
        values = np.asarray(report["scores"][key])
        left.hist(
            values, bins=bins, weights=np.full(len(values), 1 / len(values)), color=colour, alpha=0.65, label=label
        )
    for value, name in zip(thresholds, ("accept below", "reject from"), strict=True):
        left.axvline(value, color=_INK, linewidth=1.0, linestyle="--")
        words = f"{name} {value:.2f} "
        left.text(
            value, 0.98, words, transform=left.get_xaxis_transform(), rotation=90, ha="right", va="top", fontsize=8
        )
    left.set_yscale("log")
    left.set_xlabel("calibrated probability of a lossy past")
    left.set_ylabel("share of items")
    left.legend(frameon=False, loc="center", bbox_to_anchor=(0.7, 0.6))
    rows = report["reliability"]
    right.plot([0, 1], [0, 1], color="#aaaaaa", linewidth=1.0)
    right.plot([r["said"] for r in rows], [r["observed"] for r in rows], "o-", color=_INK)
    right.set_xlabel("probability said")
    right.set_ylabel("share that was lossy")
    right.set_title(f"calibration on held-out sources, ECE {report['ece']:.3f}", fontsize=10)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    _finish(figure, path)


def roc(report: dict[str, Any], path: Path) -> None:
    """Draw found against falsely alarmed, the false alarms on a logarithmic axis: that is where it is decided."""
    true, lossy = (np.sort(np.asarray(report["scores"][key])) for key in ("true", "lossy"))
    thresholds = np.unique(np.concatenate([true, lossy]))
    alarms = 1.0 - np.searchsorted(true, thresholds) / len(true)
    found = 1.0 - np.searchsorted(lossy, thresholds) / len(lossy)
    least = 0.5 / len(true)  # below one false alarm nothing was measured
    figure, axes = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
    axes.step(np.maximum(alarms, least), found, color=_INK, where="post")
    axes.axvline(1.0 / len(true), color="#aaaaaa", linewidth=1.0, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlabel(f"share of {len(true)} true recordings (dashed: one of them)")
    axes.set_ylabel("round trips found")
    axes.set_title(f"AUC {report['auc_all_true']:.4f}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    _finish(figure, path)


def families(report: dict[str, Any], path: Path) -> None:
    """Draw which family was named for which, of the rejected round trips."""
    names, counts = report["family_confusion"]["families"], np.asarray(report["family_confusion"]["counts"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(5.4, 4.6), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    titles = [family_title(name) for name in names]
    axes.set_xticks(range(len(names)), titles)
    axes.set_yticks(range(len(names)), titles)
    axes.set_xlabel("named")
    axes.set_ylabel("was")
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = shares[row, column] > 0.5  # noqa: PLR2004 - half of the colour scale
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color="white" if dark else _INK)
    _finish(figure, path)


def training_curve(log: list[dict[str, float]], path: Path) -> None:
    """Draw the loss and the validation AUC over the steps."""
    figure, left = plt.subplots(figsize=(6.5, 3.4))
    steps = [line["step"] for line in log]
    left.plot(steps, [line["loss"] for line in log], color=_INK, label="training loss")
    left.set_xlabel("step")
    left.set_ylabel("training loss")
    right = left.twinx()
    right.plot(steps, [line["auc"] for line in log], color=_LOSSY, label="AUC")
    right.plot(steps, [line["found_at_5_percent"] for line in log], color=_REVIEW, label="found at 5 % false alarms")
    right.set_ylim(0, 1)
    right.set_ylabel("validation sources")
    handles = [*left.get_lines(), *right.get_lines()]
    left.legend(handles, [line.get_label() for line in handles], frameon=False, fontsize=8, loc="center right")
    for axes in (left, right):
        axes.spines["top"].set_visible(False)
    _finish(figure, path)
