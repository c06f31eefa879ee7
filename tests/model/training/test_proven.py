"""What only a list calls a true recording."""

import json
from dataclasses import replace

import numpy as np
import pytest

from model.grid.quantiser import PROVEN, Lattice
from model.grid.track_search import TrackSearch
from model.training import proven
from model.training.evaluate import Judged
from model.training.report_sections import further_true
from tests.model.training.support import judged

_SEARCH = TrackSearch(np.zeros((12, 4)), (0,), (0,), np.zeros(1), 44_100)


def _rejected(track: str) -> Judged:
    item = judged("reject", track=track)
    return replace(item, scored=replace(item.scored, search=_SEARCH))


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tracks whose quantiser was looked for, in place of the real look: that of ``proof`` shows."""
    asked: list[str] = []

    def segments_of(bench: object, item: object) -> str:
        del item
        asked.append(bench.track.id)  # type: ignore[attr-defined] - a bench
        return asked[-1]

    def lattice_of(segments: str, search: object) -> Lattice | None:
        assert search is _SEARCH
        z = {"proof": PROVEN, "doubt": PROVEN - 0.1}.get(segments)
        return None if z is None else Lattice("mp3", 487, np.float64(z))

    monkeypatch.setattr(proven, "segments_of", segments_of)
    monkeypatch.setattr(proven, "lattice_of", lattice_of)
    return asked


def test_only_what_is_proven_is_taken_out(looked_at: list[str]) -> None:
    """Guards the false rejections: doubt, another codec's grid and whatever was not rejected stay in the count."""
    items = [judged("accept", track="kept"), _rejected("proof"), _rejected("doubt"), _rejected("vorbis")]
    kept, rows = proven.without_proven_decodes(items)
    assert [j.scored.bench.track.id for j in kept] == ["kept", "doubt", "vorbis"]
    assert looked_at == ["proof", "doubt", "vorbis"]
    assert [(row["item"], row["z"], row["proven"]) for row in rows] == [
        ("proof (group)", 10.0, True),
        ("doubt (group)", 9.9, False),
    ]


def test_the_report_names_what_was_not_counted(looked_at: list[str]) -> None:
    """Guards the protocol: a recording that is left out stands in the report with its proof, or nobody could object."""
    del looked_at
    _, rows = proven.without_proven_decodes([_rejected("proof"), _rejected("doubt")])
    figures = {
        "n": 1,
        "reject": 1,
        "review": 0,
        "accept": 0,
        "low": 0.2,
        "high": 1.0,
        "by_kind": {},
        "with_a_false_rejection": 1,
        "groups": 1,
        "rejected_items": ["doubt (group)"],
    }
    text = further_true({**figures, "looked_at": rows})
    assert json.dumps(rows)
    assert "Not counted: 1 more" in text
    assert "proof (group): mp3 at 487 samples, 10 sigma" in text
    assert "doubt (group)" in text.split("Not counted")[0]
    assert "Not counted" not in further_true(figures)
