"""Where a training run stands, in one file, so that an interrupted one goes on.

One file, replaced in one step: a run that is killed while it writes leaves the checkpoint before.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from model.errors import ModelError

CHECKPOINT_FILE = "checkpoint.npz"


class CheckpointError(ModelError):
    """A run can't go on from the checkpoint that lies there."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything of a run that is not an array."""

    settings: Mapping[str, Any]
    manifest_sha256: str
    git_revision: str
    step: int
    seconds: float
    """Spent in training, over all its sittings."""
    sampler: Mapping[str, Any]
    """``GroupSampler.state`` after the last batch that was learnt from."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    finished: bool = False


def _variables(network: keras.Model) -> list[Any]:
    """Return what a run changes: weights, the seeds of mask and dropout (Keras counts them here), the optimiser."""
    return [*network.trainable_variables, *network.non_trainable_variables, *network.optimizer.variables]


def save_checkpoint(folder: Path, network: keras.Model, standing: Standing) -> None:
    """Write ``checkpoint.npz``, or leave the earlier one as it was."""
    arrays = {f"v{i:04d}": np.asarray(variable) for i, variable in enumerate(_variables(network))}
    words = {name: getattr(standing, name) for name in Standing.__slots__}
    part = folder / f"{CHECKPOINT_FILE}.part"
    with part.open("wb") as file:
        np.savez(file, standing=np.array(json.dumps(words)), **arrays)
    part.replace(folder / CHECKPOINT_FILE)


def read_standing(folder: Path) -> Standing | None:
    """Return where the run in a folder stands; None where there is no checkpoint.

    Raises:
        CheckpointError: the file can't be read.
    """
    file = folder / CHECKPOINT_FILE
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return Standing(**json.loads(str(arrays["standing"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{file} can't be read ({error}); --fresh starts anew"
        raise CheckpointError(message) from error


def standing_to_go_on_from(folder: Path, settings: Mapping[str, Any], manifest_sha256: str) -> Standing | None:
    """Return the unfinished run of the same settings and bench; None where there is none.

    Raises:
        CheckpointError: an unfinished run of other settings or another bench lies there.
    """
    standing = read_standing(folder)
    if standing is None or standing.finished:
        return None
    differing = sorted(
        key for key in {*settings, *standing.settings} if settings.get(key) != standing.settings.get(key)
    )
    if standing.manifest_sha256 != manifest_sha256:
        differing.append("bench")
    if differing:
        message = (
            f"{folder} holds an unfinished run at step {standing.step} that differs in {', '.join(differing)}; "
            "repeat its settings to go on, or give --fresh to start anew"
        )
        raise CheckpointError(message)
    return standing


def restore(folder: Path, network: keras.Model) -> None:
    """Put a checkpoint's arrays into a compiled network and its built optimiser.

    Raises:
        CheckpointError: the arrays are not those of this network.
    """
    variables = _variables(network)
    with np.load(folder / CHECKPOINT_FILE, allow_pickle=False) as arrays:
        if len(arrays.files) != len(variables) + 1 or any(
            arrays[f"v{i:04d}"].shape != tuple(variable.shape) for i, variable in enumerate(variables)
        ):
            message = f"{folder / CHECKPOINT_FILE} is of another network; --fresh starts anew"
            raise CheckpointError(message)
        for i, variable in enumerate(variables):
            variable.assign(arrays[f"v{i:04d}"])
