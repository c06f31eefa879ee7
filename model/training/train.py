"""The third step, ``train``."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from model.constants import SEGMENT_SAMPLES
from model.network import build_network
from model.training import losses
from model.training.bench import BenchTrack, Item
from model.training.dataset import GROUP_ROWS, GroupSampler, prefetched
from model.training.scoring import auc, score

BEST_FILE = "best.weights.h5"
LOG_FILE = "train.jsonl"
STOPPING_ITEMS = 12  # items a track that early stopping looks at


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training run depends on, beside the bench."""

    steps: int = 2_500
    groups: int = 8
    crop_samples: int = SEGMENT_SAMPLES // 2
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    check_every: int = 200
    seed: int = 1


def _stopping_pairs(benches: list[BenchTrack], seed: int) -> list[tuple[BenchTrack, Item]]:
    """Choose the fixed items that early stopping measures: half true, half lossy."""
    rng = np.random.default_rng(seed)
    pairs: list[tuple[BenchTrack, Item]] = []
    for bench in benches:
        for lossy in (False, True):
            items = [item for item in bench.items if item.is_lossy is lossy]
            chosen = rng.permutation(len(items))[: STOPPING_ITEMS // 2]
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


def train(training: tuple[BenchTrack, ...], stopping: list[BenchTrack], out: Path, settings: Settings) -> keras.Model:
    """Train; keep the weights with the best validation AUC.

    Args:
        training: tracks of the training split.
        stopping: validation tracks that calibration never sees.
        out: folder for the checkpoint and the log.
        settings: see there.

    Returns:
        The network at full segment length with the best weights.
    """
    out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(settings.seed)
    network = build_network(settings.crop_samples, seed=settings.seed)
    served = build_network(SEGMENT_SAMPLES, seed=settings.seed)
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-4, settings.steps, warmup_target=settings.learning_rate, warmup_steps=min(100, settings.steps // 10 + 1)
    )
    optimiser = keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, clipnorm=1.0)
    network.compile(optimizer=optimiser, loss=losses.LOSSES, loss_weights=losses.LOSS_WEIGHTS)
    sampler = GroupSampler(training, settings.groups, settings.crop_samples, settings.seed)
    pairs = _stopping_pairs(stopping, settings.seed)
    best, began = -1.0, time.monotonic()
    running: list[float] = []
    with (out / LOG_FILE).open("w", encoding="utf-8") as log:
        for step, (samples, truths) in enumerate(prefetched(sampler, settings.steps), start=1):
            values = network.train_on_batch(samples, truths, return_dict=True)
            network.reset_metrics()
            running.append(float(values["loss"]))
            if step % settings.check_every and step != settings.steps:
                continue
            served.set_weights(network.get_weights())
            measured = _check(served, pairs)
            line = {"step": step, "loss": float(np.mean(running)), "seconds": time.monotonic() - began, **measured}
            running.clear()
            log.write(json.dumps(line) + "\n")
            log.flush()
            better = measured["auc"] > best
            if better:
                best = measured["auc"]
                served.save_weights(out / BEST_FILE)
            words = ", ".join(f"{key} {value:.4g}" for key, value in line.items())
            sys.stderr.write(f"{words}{' *' if better else ''} ({settings.groups * GROUP_ROWS} rows a step)\n")
            sys.stderr.flush()
    served.load_weights(out / BEST_FILE)
    return served
