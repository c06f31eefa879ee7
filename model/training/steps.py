"""The last three commands, from folders to folders."""

import json
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras

from model.artefact import POLICY_FILE, load_artefact
from model.constants import SEGMENT_SAMPLES
from model.errors import ModelError
from model.network import build_network
from model.policy import Policy
from model.training import evaluate, plots, release, report
from model.training.bench import BenchTrack, load_bench, manifest_sha256
from model.training.checkpoint import read_standing
from model.training.grid_search import read_search, run_search
from model.training.scoring import Searches, score
from model.training.sources import Split
from model.training.train import LOG_FILE, WEIGHTS_FILE, Settings, train

FACTS_FILE = "facts.json"
SEARCH_FOLDER = "search"


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


def run_grid_search(work: Path, tracks: int | None) -> int:
    """Search the validation and test tracks for frame grids; returns how many were new."""
    splits: tuple[Split, ...] = ("validation", "test")
    return sum(run_search(load_bench(work / "bench", split), work / SEARCH_FOLDER, tracks) for split in splits)


def searched_tracks(work: Path, split: Split) -> tuple[list[BenchTrack], Searches]:
    """Return the tracks of a split that were searched, with their searches.

    Raises:
        ModelError: none was.
    """
    benches = load_bench(work / "bench", split)
    found = {bench.track.id: read_search(work / SEARCH_FOLDER, bench) for bench in benches}
    searches = {track: search for track, search in found.items() if search is not None}
    if not searches:
        message = f"no {split} track was searched for frame grids: run `python -m model search --work {work}` first"
        raise ModelError(message)
    return [bench for bench in benches if bench.track.id in searches], searches


def run_calibration(work: Path, out: Path, version: str) -> Policy:
    """Calibrate the trained weights and write the artefact to ``out``."""
    facts = json.loads((work / "train" / FACTS_FILE).read_text(encoding="utf-8"))
    calibration_tracks, searches = searched_tracks(work, "validation")
    network = trained_network(work)
    _, policy = release.release(network, calibration_tracks, searches, out, version=version, extra=facts)
    return policy


def run_evaluation(work: Path, model_dir: Path, reports: Path, words_file: Path | None) -> dict[str, Any]:
    """Evaluate an artefact on the test split; write Markdown, JSON and pictures to ``reports``."""
    artefact = load_artefact(model_dir)
    policy = Policy.load(model_dir / POLICY_FILE)
    benches, searches = searched_tracks(work, "test")
    pairs = [(bench, item) for bench in benches for item in bench.items]
    scored = score(artefact.spectrogram, pairs, label="evaluate", searches=searches)
    # Bench clips are short by design; their length is not what is measured here.
    figures = evaluate.evaluate(evaluate.judge(scored, artefact.calibration, replace(policy, minimum_duration_s=0.0)))
    log = [json.loads(line) for line in (work / "train" / LOG_FILE).read_text(encoding="utf-8").splitlines()]
    meta = artefact.metadata
    figures["policy"] = asdict(policy)
    figures["training_log"] = log
    figures["run"] = {
        "commands": [meta.get("train_command", ""), _command()],
        "groups": {
            "training": meta.get("training_groups", []),
            "calibration and thresholds": meta.get("calibration_groups", []),
            "test": figures["source_groups"],
        },
        "facts": {
            "artefact": f"{artefact.name} {artefact.version}",
            "weights SHA-256": artefact.sha256,
            "trained parameters": artefact.spectrogram.count_params(),
            "git revision at training": meta.get("git_revision", "unknown"),
            "seed": meta.get("settings", {}).get("seed"),
            "training tracks / items / source groups": (
                f"{meta.get('training_tracks')} / {meta.get('training_items')} / {len(meta.get('training_groups', []))}"
            ),
            "source groups for calibration and thresholds": (len(meta.get("calibration_groups", []))),
            "held-out tracks / items / source groups": (
                f"{figures['tracks']} / {figures['items']} / {len(figures['source_groups'])}"
            ),
            "training time": f"{meta.get('train_minutes')} min on 2 shared CPU cores",
            "training manifest SHA-256": meta.get("training_manifest_sha256"),
            "test manifest SHA-256": manifest_sha256(benches),
        },
    }
    reports.mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, indent=1) + "\n"
    file = reports / f"{artefact.name}.json"
    file.write_text(text, encoding="utf-8")
    write_report(file, words_file)
    return figures


def write_report(figures_file: Path, words_file: Path | None) -> None:
    """Write Markdown and pictures beside the JSON that an evaluation left."""
    figures = json.loads(figures_file.read_text(encoding="utf-8"))
    words = json.loads(words_file.read_text(encoding="utf-8")) if words_file else {}
    stem, policy = figures_file.stem, figures["policy"]
    figures_file.with_suffix(".md").write_text(report.render(figures, words, stem), encoding="utf-8")
    plots.confusion(figures, figures_file.with_name(f"{stem}-confusion.png"))
    thresholds = (policy["accept_below"], policy["reject_at"])
    plots.scores(figures, thresholds, figures_file.with_name(f"{stem}-scores.png"))
    plots.training_curve(figures["training_log"], figures_file.with_name(f"{stem}-training.png"))
