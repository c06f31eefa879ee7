"""Which items the peers are asked about: half true, half lossy, spread over treatments and encodings."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from model.training.bench import BenchTrack, Item
from model.training.chance import fair_order

_CHOICE_SEED = 11


def kind_of(item: Item) -> str:
    """Return what an item is spread and tabulated by: its condition where it has one, and its treatment or encoding."""
    condition = getattr(item, "condition", "")
    return f"{condition}: {item.name}" if condition else item.name


def choose_items(benches: Sequence[BenchTrack], tracks: int, items_a_track: int) -> list[tuple[BenchTrack, Item]]:
    """Choose items, the same each time.

    Args:
        benches: all tracks of the test split, in ``load_bench``'s order.
        tracks: how many, the first of the order in which tracks are searched for grids.
        items_a_track: half of them true, half lossy, as far as the track has them; kinds used
            least so far come first, so that all of them occur about equally often.

    Returns:
        Pairs of track and item.
    """
    rng = np.random.default_rng(_CHOICE_SEED)
    used: Counter[str] = Counter()
    pairs: list[tuple[BenchTrack, Item]] = []
    for bench in fair_order(benches)[:tracks]:
        for lossy in (False, True):
            items = [item for item in bench.items if item.is_lossy is lossy]
            shuffled = [items[i] for i in rng.permutation(len(items))]
            chosen = sorted(shuffled, key=lambda item: used[kind_of(item)])[: items_a_track // 2]
            used.update(kind_of(item) for item in chosen)
            pairs.extend((bench, item) for item in chosen)
    return pairs
