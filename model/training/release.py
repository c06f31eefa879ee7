"""From trained weights to the released folder: calibrate, choose thresholds, write metadata."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from model.artefact import POLICY_FILE, load_artefact, save_artefact
from model.grid.follow import build_follower
from model.grid.search import build_grid_search
from model.network import join_detector
from model.policy import Policy
from model.pooling import Calibration
from model.training import calibrate
from model.training.scoring import ScoredItem

NAME = "spectrogram-grid"


def git_revision() -> str:
    """Return the commit the working tree stands on, or ``unknown`` outside a repository."""
    try:
        command = ["git", "rev-parse", "HEAD"]
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603 - fixed command
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return result.stdout.strip()


def write_policy(policy: Policy, folder: Path) -> None:
    """Write a policy file that ``Policy.load`` reads."""
    (folder / POLICY_FILE).write_text(json.dumps(asdict(policy), indent=2) + "\n", encoding="utf-8")


def release(
    network: keras.Model,
    scored: Sequence[ScoredItem],
    out: Path,
    *,
    version: str,
    extra: dict[str, Any],
) -> tuple[Calibration, Policy]:
    """Calibrate a network and write the artefact.

    Args:
        network: the trained spectrogram part, at full segment length.
        scored: items of validation tracks used for nothing else, with their searches.
        out: the artefact's folder.
        version: of artefact and policy.
        extra: metadata: seeds, revision, manifest hash, command.
    """
    fitted = calibrate.fit_calibration(scored)
    policy = calibrate.fit_policy(scored, fitted, version)
    groups = sorted({group for one in scored for group in one.bench.track.groups})
    facts = {"calibration_items": len(scored), "calibration_groups": groups}
    detector = join_detector(network, build_grid_search(), build_follower())
    save_artefact(out, detector, name=NAME, version=version, calibration=fitted, extra={**extra, **facts})
    write_policy(policy, out)
    load_artefact(out)  # what cannot be loaded must not be released
    return fitted, policy
