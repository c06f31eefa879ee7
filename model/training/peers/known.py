"""The peers: what to install, how to ask them, and what their words mean."""

from dataclasses import dataclass

REPEAT_FADE_S = 0.02


@dataclass(frozen=True, slots=True)
class Peer:
    """One published detector, pinned."""

    name: str
    version: str
    requirement: str
    """For pip, with the extras that give it its best chance."""
    child: str
    """File in this folder that runs inside the peer's own environment."""
    found_words: frozenset[str]
    """Verdicts that accuse a file."""
    kept_words: frozenset[str]
    """Verdicts that do not; any other word is no verdict."""
    unsure_words: frozenset[str]
    """Of the kept ones, those that ask a person to listen."""
    minimum_s: float
    """Shortest file it judges; shorter clips are repeated up to it."""
    how: str
    """How it is asked, for the report."""

    def found(self, word: str) -> bool | None:
        """Return whether a verdict accuses; None where it is none."""
        if word in self.found_words:
            return True
        return False if word in self.kept_words else None


_BITRATER_LOSSY = frozenset({"128", "V2", "192", "V0", "256", "320"})

PEERS = (
    Peer(
        name="flac-detective",
        version="2.5.0",
        # Without the extra its neural rule is skipped silently.
        requirement="flac-detective[ml]==2.5.0",
        child="flac_detective_child.py",
        found_words=frozenset({"SUSPICIOUS", "FAKE_CERTAIN"}),
        kept_words=frozenset({"AUTHENTIC", "WARNING"}),
        unsure_words=frozenset({"WARNING"}),
        minimum_s=0.0,
        how="its Python API, `deep` (its neural rule on every file); SUSPICIOUS and FAKE_CERTAIN count as found",
    ),
    Peer(
        name="bitrater",
        version="0.1.5",
        requirement="bitrater==0.1.5",
        child="bitrater_child.py",
        found_words=_BITRATER_LOSSY,
        kept_words=frozenset({"LOSSLESS"}),
        unsure_words=frozenset(),
        # 48 windows of 2 s, one second apart; a shorter file gets no answer at all.
        minimum_s=50.0,
        how="its Python API; any class but LOSSLESS counts as found; it needs 49 s, so clips are repeated end to end",
    ),
)
