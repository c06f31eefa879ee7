"""The step ``peers``: each chosen item through each peer, one JSON an item, resumable."""

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.errors import ModelError
from model.training.bench import BenchTrack, Item, load_bench
from model.training.peers.choose import choose_items
from model.training.peers.clip import write_clip
from model.training.peers.environment import PeerProcess, environment, installed
from model.training.peers.known import PEERS, Peer
from model.training.progress import Progress

RESULT_FILE = "peers.json"
_SETS = ("bench", "trials")
_NOTABLE = ("flac-detective", "bitrater", "torch", "librosa", "numpy", "scipy", "onnxruntime")

Chosen = tuple[str, BenchTrack, Item]


def _record(peer: Peer, where: str, bench: BenchTrack, item: Item, answer: dict[str, Any] | None) -> dict[str, Any]:
    """Return a verdict in the shape that all peers share."""
    answer = answer or {"word": "none", "score": math.nan, "reason": "the peer's process ended", "seconds": 0.0}
    return {
        "peer": peer.name,
        "version": peer.version,
        "set": where,
        "track": bench.track.id,
        "file": item.file,
        "truth": item.truth,
        "name": item.name,
        "condition": getattr(item, "condition", ""),
        "found": peer.found(answer["word"]),
        "unsure": answer["word"] in peer.unsure_words,
        "score": answer["score"] if math.isfinite(answer["score"]) else None,
        "words": f"{answer['word']}: {answer['reason']}".strip(": "),
        "seconds": answer["seconds"],
        "wall_s": answer.get("wall_s", 0.0),
    }


def _ask_all(peer: Peer, chosen: Sequence[Chosen], folder: Path) -> list[dict[str, Any]]:
    """Return a peer's record of each item; those asked before are read."""
    cache = folder / "answers" / f"{peer.name}-{peer.version}"
    files = [cache / where / bench.track.id / f"{item.file}.json" for where, bench, item in chosen]
    waiting = [(file, *one) for file, one in zip(files, chosen, strict=True) if not file.exists()]
    progress = Progress(peer.name, len(waiting), every_s=30.0)
    python = environment(peer, folder)
    log = folder / f"{peer.name}.log"
    process = PeerProcess(peer, python, log)
    try:
        with tempfile.TemporaryDirectory(prefix="lossgate-peers-") as temporary:
            clip = Path(temporary) / "clip.flac"  # a name that gives nothing away
            for file, where, bench, item in waiting:
                write_clip(bench, item, clip, peer.minimum_s)
                answer = process.ask(clip)
                if answer is None:  # a file that kills it costs that file alone
                    process.__exit__()
                    process = PeerProcess(peer, python, log)
                record = _record(peer, where, bench, item, answer)
                file.parent.mkdir(parents=True, exist_ok=True)
                part = file.with_suffix(".part")
                part.write_text(json.dumps(record) + "\n", encoding="utf-8")
                part.replace(file)
                progress.step()
    finally:
        process.__exit__()
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def run_peers(work: Path, out: Path, tracks: int, items_a_track: int, peers: Sequence[Peer] = PEERS) -> dict[str, Any]:
    """Ask the peers about a fixed sample of the test items; write ``peers.json`` to ``out``.

    Args:
        work: folder with ``bench`` and perhaps ``trials``; environments and answers go under ``peers``.
        out: folder of the result.
        tracks: tracks of each set.
        items_a_track: half true, half lossy.
        peers: whom to ask.

    Returns:
        ``peers`` (name, version, how it was asked, its notable packages) and ``items``.

    Raises:
        ModelError: no test items, or a peer that can't be installed.
    """
    chosen: list[Chosen] = []
    for where in _SETS:
        benches = load_bench(work / where, "test")
        chosen += [(where, bench, item) for bench, item in choose_items(benches, tracks, items_a_track)]
    if not chosen:
        message = f"no test items under {work}: run `python -m model bench` first"
        raise ModelError(message)
    folder = work / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    about, items = [], []
    for peer in peers:
        items += _ask_all(peer, chosen, folder)
        packages = [line for line in installed(peer, folder) if line.split("==")[0].lower() in _NOTABLE]
        about.append({"peer": peer.name, "version": peer.version, "how": peer.how, "packages": packages})
    result = {"tracks": tracks, "items_a_track": items_a_track, "peers": about, "items": items}
    out.mkdir(parents=True, exist_ok=True)
    (out / RESULT_FILE).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result
