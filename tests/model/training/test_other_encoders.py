"""Encoders of the trials: what training must never have met."""

from pathlib import Path

import numpy as np
import pytest

from model.constants import FAMILIES
from model.training import codecs, other_encoders
from model.training.bench import OTHER
from model.training.codecs import Encoding
from model.training.other_encoders import HELD_OUT, HELD_OUT_ENCODERS, OTHER_BUILDS


def test_training_can_draw_none_of_the_held_out_encoders() -> None:
    """Guards the claim "never seen": what training draws from, and many draws of it, share no encoder with them."""
    rng = np.random.default_rng(1)
    drawn = {codecs.draw(family, rng).encoder for family in FAMILIES for _ in range(40)}
    in_tables = {encoder for encoder, _ in codecs._TRAINING.values()}
    assert not HELD_OUT_ENCODERS & (drawn | in_tables)


def test_other_builds_are_not_called_held_out() -> None:
    """Guards the report's honesty: another build of LAME is still LAME."""
    assert not {row.encoder for row in OTHER_BUILDS} & HELD_OUT_ENCODERS


def test_a_draw_holds_every_held_out_encoder_of_a_known_family() -> None:
    """Guards the counts in the report: a track meets each encoder, three other codecs and one other build."""
    rows = other_encoders.draw(np.random.default_rng(3))
    known = {row.encoder for row in HELD_OUT if row.family in FAMILIES}
    assert known <= {row.encoder for row in rows}
    assert len([row for row in rows if row.family == OTHER]) == 3
    assert len([row for row in rows if row in OTHER_BUILDS]) == 1
    assert len({row.name for row in rows}) == len(rows)


def test_every_draw_follows_from_its_seed() -> None:
    """Guards repeatability: the same seed gives the same trials."""
    first, again = (other_encoders.draw(np.random.default_rng(5)) for _ in range(2))
    assert first == again


def test_a_missing_package_is_named_with_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the one clear line: a user without the tools is told which, and nothing raises."""
    monkeypatch.setattr(other_encoders.shutil, "which", lambda _: None)
    monkeypatch.setattr(other_encoders, "_ffmpeg_encoders", lambda: " A....D eac3 x")
    missing = other_encoders.missing(tmp_path)
    assert "lamejs" in missing["lamejs"]
    assert "mpcenc" in missing["mpcenc"]
    assert "voaacenc" in missing
    assert "eac3" not in missing


@pytest.mark.parametrize("row", [*HELD_OUT, *OTHER_BUILDS], ids=lambda row: row.name)
def test_every_row_names_a_family_or_other(row: Encoding) -> None:
    """Guards ``is_lossy`` and the family score: nothing else than a family or OTHER may stand there."""
    assert row.family in {*FAMILIES, OTHER}
    assert row.kbps >= 64
