"""The third step, ``train``."""

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from model.constants import SEGMENT_SAMPLES
from model.network import build_network
from model.training import losses
from model.training.bench import BenchTrack, Item, manifest_sha256
from model.training.checkpoint import CHECKPOINT_FILE, Standing, restore, save_checkpoint, standing_to_go_on_from
from model.training.dataset import GROUP_ROWS, GroupSampler, prefetched
from model.training.release import git_revision
from model.training.scoring import auc, score

WEIGHTS_FILE = "last.weights.h5"
LOG_FILE = "train.jsonl"
WARM_UP_STEPS = 50
WATCHED_TRACKS = 40
WATCHED_ITEMS = 12  # items a track that is looked at during training


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training run depends on, beside the bench."""

    minutes: float = 45.0
    """Time budget: the learning rate falls with the clock, so that a busy machine still ends annealed."""
    steps: int = 1_000_000
    """Upper bound on the batches, whichever comes first."""
    groups: int = 8
    crop_samples: int = SEGMENT_SAMPLES // 2
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    check_every: int = 100
    seed: int = 1
    warm_start: str = ""
    """Weights to go on from; empty for a fresh start."""


def learning_rate(peak: float, step: int, share: float) -> float:
    """Return the learning rate: a short linear warm-up over steps, then half a cosine over ``share`` of the run."""
    warm = min(1.0, step / WARM_UP_STEPS)
    return max(peak * warm * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0))), 1e-6)


def _watched_pairs(benches: Sequence[BenchTrack], seed: int) -> list[tuple[BenchTrack, Item]]:
    """Choose the fixed items to watch: half true, half lossy."""
    rng = np.random.default_rng(seed)
    pairs: list[tuple[BenchTrack, Item]] = []
    for bench in benches[:WATCHED_TRACKS]:
        for lossy in (False, True):
            items = [item for item in bench.items if item.is_lossy is lossy]
            chosen = rng.permutation(len(items))[: WATCHED_ITEMS // 2]
            pairs.extend((bench, items[i]) for i in chosen)
    return pairs


def _check(network: keras.Model, pairs: list[tuple[BenchTrack, Item]]) -> dict[str, float]:
    """Measure on validation tracks: AUC, and finds at one per cent false alarms."""
    scored = score(network, pairs, segments=2)
    true = np.array([s.lossy_logits.mean() for s in scored if not s.item.is_lossy])
    lossy = np.array([s.lossy_logits.mean() for s in scored if s.item.is_lossy])
    return {
        "auc": auc(true, lossy),
        "found_at_1_percent": float(np.mean(lossy > np.quantile(true, 0.99))),
        "found_at_5_percent": float(np.mean(lossy > np.quantile(true, 0.95))),
    }


def _keep_log_until(file: Path, step: int) -> None:
    """Drop lines of steps that the checkpoint has not seen: they will come again."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    file.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def train(
    training: Sequence[BenchTrack],
    watched: Sequence[BenchTrack],
    out: Path,
    settings: Settings,
    *,
    fresh: bool = False,
) -> keras.Model:
    """Train, and keep the last weights: the schedule ends annealed, nothing is chosen by validation.

    A run that was interrupted goes on from its last check, with the batches that would have come next.

    Args:
        training: tracks of the training split.
        watched: validation tracks whose AUC goes into the log and nowhere else.
        out: folder for the weights, the checkpoint and the log.
        settings: see there.
        fresh: start anew whatever lies there.

    Returns:
        The network at full segment length.

    Raises:
        CheckpointError: an unfinished run of other settings or another bench lies in ``out``.
    """
    out.mkdir(parents=True, exist_ok=True)
    manifest = manifest_sha256(training)
    before = None if fresh else standing_to_go_on_from(out, asdict(settings), manifest)
    keras.utils.set_random_seed(settings.seed)
    network = build_network(settings.crop_samples, seed=settings.seed)
    served = build_network(SEGMENT_SAMPLES, seed=settings.seed)
    optimiser = keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, clipnorm=1.0)
    optimiser.build(network.trainable_variables)
    network.compile(optimizer=optimiser, loss=losses.LOSSES, loss_weights=losses.LOSS_WEIGHTS)
    sampler = GroupSampler(training, settings.groups, settings.crop_samples, settings.seed)
    pairs = _watched_pairs(watched, settings.seed)
    done, spent = 0, 0.0
    if before:
        restore(out, network)
        sampler.state, done, spent = before.sampler, before.step, before.seconds
        _say(f"going on at step {done} after {spent / 60.0:.1f} min, from {out / CHECKPOINT_FILE}")
    else:
        if settings.warm_start:
            network.load_weights(settings.warm_start)
        # An unfinished run that was given up must not come back when this one is interrupted early.
        (out / CHECKPOINT_FILE).unlink(missing_ok=True)
    _keep_log_until(out / LOG_FILE, done)
    revision, began = git_revision(), time.monotonic() - spent
    running: list[float] = []
    batches = prefetched(sampler, settings.steps - done)
    with (out / LOG_FILE).open("a", encoding="utf-8") as log:
        for step, ((samples, truths), position) in enumerate(batches, start=done + 1):
            share = max((time.monotonic() - began) / (60.0 * settings.minutes), step / settings.steps)
            optimiser.learning_rate = learning_rate(settings.learning_rate, step, share)
            values = network.train_on_batch(samples, truths, return_dict=True)
            network.reset_metrics()
            running.append(float(values["loss"]))
            if step % settings.check_every and share < 1.0:
                continue
            served.set_weights(network.get_weights())
            measured = _check(served, pairs)
            seconds = time.monotonic() - began
            line = {"step": step, "loss": float(np.mean(running)), "seconds": seconds, **measured}
            running.clear()
            log.write(json.dumps(line) + "\n")
            log.flush()
            served.save_weights(out / WEIGHTS_FILE)
            finished = share >= 1.0
            standing = Standing(asdict(settings), manifest, revision, step, seconds, position, line, finished)
            save_checkpoint(out, network, standing)
            words = ", ".join(f"{key} {value:.4g}" for key, value in line.items())
            _say(f"{words} ({settings.groups * GROUP_ROWS} rows a step)")
            if share >= 1.0:
                break
    return served
