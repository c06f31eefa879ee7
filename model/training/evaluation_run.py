"""The step ``evaluate``, from folders to a report: bench, trials and further true recordings of the test split."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from model.artefact import POLICY_FILE, Artefact, load_artefact
from model.policy import Policy
from model.training import ablation, decisions, evaluate, further, localise, plots, report, targets
from model.training.bench import INSERT, BenchTrack, load_bench, manifest_sha256
from model.training.peers.section import peers_section
from model.training.proven import without_proven_decodes
from model.training.scoring import ScoredItem, score
from model.training.searches import FURTHER_PARTS, SEARCH_FOLDER, searched, searched_tracks

DECISIONS_SUFFIX = "-decisions.json.gz"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where an evaluation reads from and writes to."""

    work: Path
    model_dir: Path
    reports: Path
    words: Path | None = None
    """JSON with the report's texts."""
    true_recordings: Path | None = None
    """A further bench folder that holds nothing but true recordings, searched already."""
    decodes: Path | None = None
    """A further bench folder of decodes of such recordings, searched already."""
    compared: Mapping[str, Path] | None = None
    """Decisions files of other detectors on the same items, by name."""
    peers: Path | None = None
    """``peers.json``: what other published detectors said of the same files."""
    localised_tracks: int = 8
    """Tracks with a lossy insert that are searched segment by segment."""


def _score(network: keras.Model, folder: Path, searches: Path, split: str, label: str) -> list[ScoredItem]:
    """Score those tracks of a folder that were searched, but for inserts (``localise``).

    The trials' unprocessed originals are left out: the bench has them.
    """
    benches = load_bench(folder, split)
    found = searched(benches, searches)
    again = folder.name == "trials"
    pairs = [
        (bench, item)
        for bench in benches
        if bench.track.id in found
        for item in bench.items
        if item.condition != INSERT and (item.condition or not again)
    ]
    return score(network, pairs, label=label, searches=found)


def _elsewhere(network: keras.Model, folder: Path | None, label: str) -> list[ScoredItem]:
    """Score the searched recordings of a further bench folder; nothing where there is none."""
    return _score(network, folder, folder.parent / SEARCH_FOLDER, "test", label) if folder else []


def _by_track(folder: Path | None) -> dict[str, BenchTrack]:
    """Return a further bench folder's recordings by their track."""
    return {bench.track.id: bench for bench in load_bench(folder, "test")} if folder else {}


def run_evaluation(inputs: Inputs) -> dict[str, Any]:
    """Evaluate an artefact on the test split; write Markdown, JSON, decisions and pictures to ``inputs.reports``."""
    work, artefact = inputs.work, load_artefact(inputs.model_dir)
    # Bench clips are short by design; their length is not what is measured here.
    policy = replace(Policy.load(inputs.model_dir / POLICY_FILE), minimum_duration_s=0.0)
    benches, found = searched_tracks(work, "test")
    pairs = [(bench, item) for bench in benches for item in bench.items]
    bench_items = score(artefact.spectrogram, pairs, label="bench", searches=found)
    trials = _score(artefact.spectrogram, work / "trials", work / SEARCH_FOLDER / "trials", "test", "trials")
    further_items = _elsewhere(artefact.spectrogram, inputs.true_recordings, "true recordings")
    decoded = _elsewhere(artefact.spectrogram, inputs.decodes, "decodes")
    judged = evaluate.judge([*bench_items, *trials], artefact.calibration, policy)
    held_for_true = evaluate.judge(further_items, artefact.calibration, policy)
    further_decodes = evaluate.judge(decoded, artefact.calibration, policy)
    true, proofs = without_proven_decodes(held_for_true)
    plain = [j for j in judged if not j.scored.item.condition]
    figures = evaluate.evaluate(plain)
    figures["targets"] = targets.against(judged, true)
    figures["conditions"] = targets.by_condition(judged)
    figures["further_true"] = {**further.true_recordings(true), "looked_at": proofs}
    figures["further_decodes"] = further.decodes(further_decodes, _by_track(inputs.true_recordings))
    figures["ablations"] = ablation.ablate(calibration_items(work, artefact.spectrogram), [*bench_items, *trials])
    others = {name: decisions.read(path) for name, path in (inputs.compared or {}).items()}
    # One table each: detectors were not all run on the same items.
    figures["compared"] = [decisions.compare(judged, {name: other}) for name, other in others.items()]
    figures["peers"] = _peers(inputs.peers, plain)
    figures["localisation"] = localise.localise(artefact, load_bench(work / "trials", "test"), inputs.localised_tracks)
    figures["policy"] = {**_policy(policy), "minimum_duration_s": 0.0}
    figures["training_log"] = artefact.metadata.get("training_log", [])
    figures["run"] = _facts(artefact, figures, benches)
    inputs.reports.mkdir(parents=True, exist_ok=True)
    file = inputs.reports / f"{artefact.name}.json"
    file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    decisions.write(
        decisions.of([*judged, *held_for_true, *further_decodes]), inputs.reports / f"{artefact.name}{DECISIONS_SUFFIX}"
    )
    write_report(file, inputs.words)
    return figures


def _peers(file: Path | None, judged: Sequence[evaluate.Judged]) -> str:
    """Return the section on the peers; only bench items, since the trials have files of the same names."""
    if file is None:
        return ""
    result = json.loads(file.read_text(encoding="utf-8"))
    result["items"] = [record for record in result["items"] if not record["condition"]]
    return peers_section(result, {(j.scored.bench.track.id, j.scored.item.file): j.decision.decision for j in judged})


def _policy(policy: Policy) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in policy.__slots__}


def calibration_items(work: Path, network: keras.Model) -> list[ScoredItem]:
    """Score what a calibration is fitted on: the searched validation tracks of bench, trials and further clips."""
    benches, found = searched_tracks(work, "validation")
    pairs = [(bench, item) for bench in benches for item in bench.items]
    items = score(network, pairs, label="calibration", searches=found)
    for part in ("trials", *FURTHER_PARTS):
        items += _score(network, work / part, work / SEARCH_FOLDER / part, "validation", f"calibration {part}")
    return items


def _facts(artefact: Artefact, figures: Mapping[str, Any], benches: Sequence[BenchTrack]) -> dict[str, Any]:
    meta = artefact.metadata
    command = "python -m model " + shlex.join(sys.argv[1:])
    return {
        "commands": [meta.get("train_command", ""), meta.get("calibrate_command", ""), command],
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


def write_report(figures_file: Path, words_file: Path | None) -> None:
    """Write Markdown and pictures beside the JSON that an evaluation left."""
    figures = json.loads(figures_file.read_text(encoding="utf-8"))
    words = json.loads(words_file.read_text(encoding="utf-8")) if words_file else {}
    stem, policy = figures_file.stem, figures["policy"]
    figures_file.with_suffix(".md").write_text(report.render(figures, words, stem), encoding="utf-8")
    plots.confusion(figures, figures_file.with_name(f"{stem}-confusion.png"))
    thresholds = (policy["accept_below"], policy["reject_at"])
    plots.scores(figures, thresholds, figures_file.with_name(f"{stem}-scores.png"))
    plots.roc(figures, figures_file.with_name(f"{stem}-roc.png"))
    plots.families(figures, figures_file.with_name(f"{stem}-families.png"))
    plots.training_curve(figures["training_log"], figures_file.with_name(f"{stem}-training.png"))
