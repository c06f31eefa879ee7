"""The last three commands, from folders to folders."""

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from model.constants import SEGMENT_SAMPLES
from model.errors import ModelError
from model.network import build_network
from model.policy import Policy
from model.training import release
from model.training.bench import load_bench, manifest_sha256
from model.training.checkpoint import read_standing
from model.training.evaluation_run import calibration_items
from model.training.grid_search import run_search
from model.training.searches import FURTHER_PARTS, SEARCH_FOLDER
from model.training.sources import Split
from model.training.suspects import suspects
from model.training.train import LOG_FILE, WEIGHTS_FILE, Settings, train

FACTS_FILE = "facts.json"


def _command() -> str:
    """Return the command line that is running, to be kept with its results."""
    return "python -m model " + shlex.join(sys.argv[1:])


def run_training(work: Path, settings: Settings, *, fresh: bool = False) -> dict[str, Any]:
    """Train on the bench under ``work``; write weights, log and facts under ``work/train``.

    An interrupted run of the same settings and bench goes on, unless ``fresh``.
    """
    training = load_bench(work / "bench", "train")
    watched = load_bench(work / "bench", "validation")
    train(training, watched, work / "train", settings, fresh=fresh)
    standing = read_standing(work / "train")
    if standing is None:
        message = f"{work / 'train'}: the run left no checkpoint"
        raise ModelError(message)
    facts = {
        "settings": asdict(settings),
        "git_revision": release.git_revision(),
        "training_manifest_sha256": manifest_sha256(training),
        "training_tracks": len(training),
        "training_items": sum(len(bench.items) for bench in training),
        "training_groups": sorted({group for bench in training for group in bench.track.groups}),
        "train_minutes": round(standing.seconds / 60.0, 1),
        "train_steps": standing.step,
        "last_check": dict(standing.metrics),
        "train_command": _command(),
    }
    (work / "train" / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def trained_network(work: Path) -> keras.Model:
    """Rebuild the network at full segment length with the best weights."""
    network = build_network(SEGMENT_SAMPLES)
    network.load_weights(work / "train" / WEIGHTS_FILE)
    return network


def run_grid_search(work: Path, tracks: int | None, true_recordings: Path | None = None) -> int:
    """Search the validation and test tracks for frame grids; returns how many were new.

    Args:
        work: of bench, trials and further clips.
        tracks: of each split at most.
        true_recordings: a further bench folder to search, in place of those under ``work``.
    """
    if true_recordings:
        return run_search(load_bench(true_recordings, "test"), true_recordings.parent / SEARCH_FOLDER, tracks)
    splits: tuple[Split, ...] = ("validation", "test")
    return sum(
        run_search(load_bench(work / part, split), work / SEARCH_FOLDER / part, tracks)
        for part in ("bench", "trials", *FURTHER_PARTS)
        for split in splits
    )


def run_calibration(work: Path, out: Path, version: str) -> tuple[Policy, list[str]]:
    """Calibrate the trained weights and write the artefact to ``out``.

    Returns:
        The policy, and a line on each recording that may not be as true as it is held for.

    Raises:
        ModelError: nothing was trained there, or no validation track was searched.
    """
    if not (work / "train" / FACTS_FILE).exists():
        message = f"{work / 'train'} holds no trained network: run `python -m model train --work {work}` first"
        raise ModelError(message)
    facts = json.loads((work / "train" / FACTS_FILE).read_text(encoding="utf-8"))
    log = (work / "train" / LOG_FILE).read_text(encoding="utf-8").splitlines()
    facts |= {"training_log": [json.loads(line) for line in log], "calibrate_command": _command()}
    network = trained_network(work)
    items = calibration_items(work, network)
    _, policy = release.release(network, items, out, version=version, extra=facts)
    return policy, suspects(items)
