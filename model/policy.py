"""From a score to a decision, by thresholds that live apart from the weights."""

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, Self

from model.constants import CLEAR_GRID_SCORE
from model.errors import PolicyError
from model.pooling import TrackScore

Verdict = Literal["accept", "reject", "review"]
Reason = Literal[
    "NO_LOSSY_TRACES",
    "LOSSY_TRACES",
    "UNCERTAIN",
    "TOO_SHORT",
    "SILENT",
    "BANDWIDTH_TOO_LOW",
]


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """What was measured on a track without the network."""

    duration_s: float
    level_dbfs: float
    """RMS level of the loudest segment, dB re a full-scale sine."""
    bandwidth_hz: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a track, and why."""

    decision: Verdict
    reason: Reason
    family: str | None = None
    bitrate_class: str | None = None


_QUOTED_CHARACTERS = 100  # of what a policy file says, in a message


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object; Python's reader would keep the last of two thresholds without a word."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        message = f"keys {_quoted(twice)} stand there twice"
        raise ValueError(message)
    return values


def _quoted(names: list[str]) -> str:
    return str(names)[:_QUOTED_CHARACTERS]


def _require_finite(name: str, value: object) -> None:
    """Refuse what is not a finite number; JSON knows true, and Python's reader knows NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"policy: {name} must be a number, not {repr(value)[:_QUOTED_CHARACTERS]}"
        raise PolicyError(message)
    try:
        finite = math.isfinite(value)
    except OverflowError:  # JSON knows integers of any length
        finite = False
    if not finite:
        message = f"policy: {name} must be finite, not {str(value)[:_QUOTED_CHARACTERS]}"
        raise PolicyError(message)


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds, read from a versioned JSON file."""

    version: str
    reject_at: float
    """Probability from which a track is rejected."""
    accept_below: float
    """Probability below which a track is accepted; in between a person decides."""
    name_family_at: float
    """Probability from which a review names the suspected codec and bitrate."""
    minimum_duration_s: float
    silence_dbfs: float
    minimum_bandwidth_hz: float
    """Bandwidth from which there is a verdict; below it only a clear frame grid rejects."""

    def __post_init__(self) -> None:
        """Refuse thresholds that cannot be obeyed.

        Raises:
            PolicyError: with the field and what is wrong with it in plain words.
        """
        if not isinstance(self.version, str) or not self.version:
            message = "policy: version must be a non-empty text"
            raise PolicyError(message)
        for name in _NUMBERS:
            _require_finite(name, getattr(self, name))
        for name in ("reject_at", "accept_below", "name_family_at"):
            if not 0.0 < getattr(self, name) < 1.0:
                message = f"policy: {name} must lie between 0 and 1, not {getattr(self, name)}"
                raise PolicyError(message)
        if self.accept_below > self.reject_at:
            message = (
                f"policy: accept_below ({self.accept_below}) must not exceed "
                f"reject_at ({self.reject_at}), or a track would be both"
            )
            raise PolicyError(message)
        for name in ("minimum_duration_s", "minimum_bandwidth_hz"):
            if getattr(self, name) < 0:
                message = f"policy: {name} must not be negative, but is {getattr(self, name)}"
                raise PolicyError(message)
        if self.silence_dbfs >= 0:
            message = f"policy: silence_dbfs must be below 0, not {self.silence_dbfs}"
            raise PolicyError(message)

    @classmethod
    def from_json(cls, values: object) -> Self:
        """Build a policy from a parsed JSON object; unknown and missing keys are refused.

        Raises:
            PolicyError: the object is not a policy.
        """
        if not isinstance(values, dict):
            message = f"policy: expected an object, got {type(values).__name__}"
            raise PolicyError(message)
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            message = f"policy: unknown keys {_quoted(unknown)}; known are {sorted(known)}"
            raise PolicyError(message)
        if missing := sorted(known - set(values)):
            message = f"policy: missing keys {missing}"
            raise PolicyError(message)
        return cls(**values)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a policy file.

        Raises:
            PolicyError: the file is missing, not JSON, or not a policy.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_no_key_twice)
        except OSError as error:
            message = f"policy: cannot read {path}: {error.strerror}"
            raise PolicyError(message) from error
        except ValueError as error:
            message = f"policy: {path} is not JSON: {error}"
            raise PolicyError(message) from error
        except RecursionError:
            message = f"policy: {path} is not a policy: it nests too deeply"
            raise PolicyError(message) from None
        return cls.from_json(values)

    def decide(self, score: TrackScore | None, facts: TrackFacts) -> Decision:
        """Decide on a track; pure.

        Every comparison is written so that NaN ends in review, never in accept.

        Args:
            score: the pooled score, or None where no segment could be taken.
            facts: what was measured without the network.
        """
        if (obstacle := self._obstacle(score, facts)) is not None:
            return Decision("review", obstacle)
        assert score is not None  # noqa: S101 - an absent score is an obstacle; this tells the type checker
        if score.probability >= self.reject_at:
            return Decision("reject", "LOSSY_TRACES", score.family, score.bitrate_class)
        if score.probability < self.accept_below:
            return Decision("accept", "NO_LOSSY_TRACES")
        if score.probability >= self.name_family_at:
            return Decision("review", "UNCERTAIN", score.family, score.bitrate_class)
        return Decision("review", "UNCERTAIN")

    def _obstacle(self, score: TrackScore | None, facts: TrackFacts) -> Reason | None:
        """Return why no verdict is available, or None."""
        if not facts.duration_s >= self.minimum_duration_s:
            return "TOO_SHORT"
        if score is None:
            return "TOO_SHORT"
        if not facts.level_dbfs > self.silence_dbfs:
            return "SILENT"
        if not facts.bandwidth_hz >= self.minimum_bandwidth_hz and not self._sees_a_grid(score):
            return "BANDWIDTH_TOO_LOW"
        return None

    def _sees_a_grid(self, score: TrackScore) -> bool:
        """Tell whether a frame grid speaks for itself: without treble the network judges the music, a grid does not."""
        clear = score.grid is not None and score.grid.z >= CLEAR_GRID_SCORE
        return clear and score.probability >= self.reject_at


_NUMBERS = tuple(field.name for field in fields(Policy) if field.name != "version")
