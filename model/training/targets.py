"""The evaluation against what the detector is meant to reach: one row a target, met or missed."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from model.constants import BITRATE_CLASSES
from model.training import codecs
from model.training.bench import INSERT
from model.training.evaluate import Judged
from model.training.statistics import wilson

_UNSEEN: Final = {encoding.name for encoding in codecs.unseen_table()}
_FORCED: Final = {encoding.name for encoding in codecs.forced_table()}
_TABLE: Final = {encoding.name for encoding in codecs.table()}
_STUBBORN: Final = ("vorbis-libvorbis-q10", "opus-libopus-256", "ac3-ac3-448", "wma-wmav2-192", "mp2-mp2-256")


@dataclass(frozen=True, slots=True)
class Row:
    """One target and what was measured."""

    measure: str
    target: str
    hits: int
    n: int
    low: float
    high: float
    met: bool | None
    """None where nothing was measured."""


def _decision(*kinds: str) -> Callable[[Judged], bool]:
    return lambda judged: judged.decision.decision in kinds


def _row(measure: str, bound: float, items: Sequence[Judged], hit: Callable[[Judged], bool], *, most: bool) -> Row:
    hits, n = sum(map(hit, items)), len(items)
    low, high = wilson(hits, n)
    share = hits / n if n else float("nan")
    met = None if not n else (share <= bound if most else share >= bound)
    return Row(measure, f"{'≤' if most else '≥'} {100 * bound:g} %", hits, n, low, high, met)


def _near_bitrate(judged: Judged) -> bool:
    said = BITRATE_CLASSES.index(judged.score.bitrate_class)
    return abs(said - judged.scored.item.bitrate_index) <= 1


def against(judged: Sequence[Judged], true_recordings: Sequence[Judged]) -> list[dict[str, object]]:
    """Return the rows as JSON-ready objects.

    Args:
        judged: bench and trials of the test split.
        true_recordings: more true recordings, untouched, of further source groups.
    """
    bench = [j for j in judged if not j.scored.item.condition]
    lossy = [j for j in judged if j.scored.item.is_lossy]
    # The trials' untouched originals are those of the bench, cut elsewhere: counted once.
    true = [j for j in judged if not j.scored.item.is_lossy and j.scored.item.condition not in {INSERT, "original"}]

    def named(*names: str) -> list[Judged]:
        return [j for j in bench if j.scored.item.name in names]

    def conditioned(prefix: str, items: Sequence[Judged]) -> list[Judged]:
        return [j for j in items if j.scored.item.condition.startswith(prefix)]

    ordinary = [*(j for j in bench if j.scored.item.truth == "original"), *true_recordings]
    held_out = [*named(*_UNSEEN), *conditioned("held-out", lossy)]
    rejected = [j for j in bench if j.scored.item.name in _TABLE and j.decision.decision == "reject"]
    reject, not_accepted = _decision("reject"), _decision("reject", "review")
    rows = [
        _row("true recordings rejected", 0.0025, [*true, *true_recordings], reject, most=True),
        _row("hard negatives rejected", 0.01, conditioned("hard", true), reject, most=True),
        _row(
            "MP3 320, V0, 320 without low-pass found",
            0.99,
            named("mp3-libmp3lame-320", "mp3-libmp3lame-V0", "mp3-libmp3lame-320-cutnone"),
            reject,
            most=False,
        ),
        _row("AAC 256 and 320 found", 0.99, named("aac-aac-256", "aac-aac-320"), reject, most=False),
        _row("Vorbis q10, Opus 256, AC-3 448, WMA 192, MP2 256 found", 0.98, named(*_STUBBORN), reject, most=False),
        _row("encoders held out of training found", 0.97, held_out, reject, most=False),
        _row("low-pass forced or removed found", 0.99, named(*_FORCED), reject, most=False),
        _row(
            "processed after decoding found or reviewed", 0.9, conditioned("processed", lossy), not_accepted, most=False
        ),
        _row("family named right (of what is rejected)", 0.97, rejected, _family_right, most=False),
        _row("bitrate class within one step (of what is rejected)", 0.9, rejected, _near_bitrate, most=False),
        _row("review share on ordinary material", 0.03, ordinary, _decision("review"), most=True),
    ]
    return [asdict(row) for row in rows]


def _family_right(judged: Judged) -> bool:
    return judged.score.family == judged.scored.item.truth


def by_condition(judged: Sequence[Judged], *, by_encoder: bool = True) -> list[dict[str, object]]:
    """Count decisions by condition of the trials, true recordings and round trips apart; in alphabetical order.

    Args:
        judged: of bench and trials.
        by_encoder: whether each held-out encoder gets a row of its own.
    """
    groups: dict[tuple[str, bool], list[Judged]] = {}
    for j in judged:
        if j.scored.item.condition:
            name = j.scored.item.condition
            if name == "held-out" and by_encoder:
                name = f"held-out: {j.scored.item.name}"
            groups.setdefault((name, j.scored.item.is_lossy), []).append(j)
    rows: list[dict[str, object]] = []
    for (name, lossy), items in sorted(groups.items()):
        counts = {kind: sum(j.decision.decision == kind for j in items) for kind in ("reject", "review", "accept")}
        low, high = wilson(counts["reject"], len(items))
        rows.append({"condition": name, "lossy": lossy, "n": len(items), **counts, "low": low, "high": high})
    return rows


def groups_with_a_false_rejection(true: Sequence[Judged]) -> dict[str, object]:
    """Count source groups instead of recordings: those of one group are not independent."""
    groups: dict[tuple[str, ...], bool] = {}
    for j in true:
        name = j.scored.bench.track.groups
        groups[name] = groups.get(name, False) or j.decision.decision == "reject"
    hits = sum(groups.values())
    low, high = wilson(hits, len(groups))
    return {"groups": len(groups), "with_a_false_rejection": hits, "low": low, "high": high}
