"""The released detector on disk: weights, metadata, and the check that they belong together."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

# Registers the custom layers with Keras before anything is loaded.
import model.layers  # noqa: F401
from model.constants import BITRATE_CLASSES, FAMILIES, SEGMENT_SAMPLES
from model.errors import ArtefactError
from model.grid.follow import FOLLOWER_NAME
from model.grid.names import GRIDS
from model.grid.search import SEARCH_NAME
from model.network import SPECTROGRAM_NAME
from model.pooling import Calibration

NETWORK_FILE = "network.keras"
METADATA_FILE = "metadata.json"
POLICY_FILE = "policy.json"


@dataclass(frozen=True, slots=True)
class Artefact:
    """A network with everything needed to read its numbers."""

    network: keras.Model
    """From ``model.network.join_detector``; its three parts are called one by one."""
    name: str
    version: str
    sha256: str
    """Of the weights file; it names the detector in every verdict."""
    calibration: Calibration
    families: tuple[str, ...]
    bitrate_classes: tuple[str, ...]
    metadata: dict[str, Any]

    @property
    def spectrogram(self) -> keras.Model:
        """The part that hears every segment: ``samples`` to the three logits."""
        return self.network.get_layer(SPECTROGRAM_NAME)

    @property
    def search(self) -> keras.Model:
        """The part that searches one segment for frame grids: ``samples`` to ``grid_scores``."""
        return self.network.get_layer(SEARCH_NAME)

    @property
    def follower(self) -> keras.Model:
        """The part that follows candidates through a segment: ``followed`` and ``offsets`` to ``frames``."""
        return self.network.get_layer(FOLLOWER_NAME)


def default_model_dir() -> Path:
    """Return the folder of the released detector, inside the installed package."""
    return Path(__file__).parent / "released"


def default_policy_path() -> Path:
    """Return the released policy file."""
    return default_model_dir() / POLICY_FILE


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_metadata(path: Path) -> dict[str, Any]:
    """Read metadata.json and check that it describes a detector this code can serve."""
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"no detector here: cannot read {path}: {error.strerror}"
        raise ArtefactError(message) from error
    except ValueError as error:
        message = f"{path} is not JSON: {error}"
        raise ArtefactError(message) from error
    required = ("name", "version", "sha256", "calibration", "families", "bitrate_classes", "grids", "segment_samples")
    if not isinstance(metadata, dict) or (missing := [key for key in required if key not in metadata]):
        message = f"{path} lacks {missing if isinstance(metadata, dict) else 'everything'}"
        raise ArtefactError(message)
    expected = {
        "families": list(FAMILIES),
        "bitrate_classes": list(BITRATE_CLASSES),
        "grids": list(GRIDS),
        "segment_samples": SEGMENT_SAMPLES,
    }
    for key, value in expected.items():
        if metadata[key] != value:
            message = f"{path}: {key} is {metadata[key]}, this version of Lossgate serves {value}"
            raise ArtefactError(message)
    return metadata


def load_artefact(folder: Path) -> Artefact:
    """Load and verify a detector.

    Args:
        folder: holds ``network.keras`` and ``metadata.json``.

    Raises:
        ArtefactError: a file is missing or unreadable, the weights' SHA-256 is not the one
            in the metadata, or the metadata describes something else.
    """
    metadata = _read_metadata(folder / METADATA_FILE)
    weights = folder / NETWORK_FILE
    try:
        actual = file_sha256(weights)
    except OSError as error:
        message = f"cannot read the weights {weights}: {error.strerror}"
        raise ArtefactError(message) from error
    if actual != metadata["sha256"]:
        message = (
            f"{weights} has SHA-256 {actual}, but {METADATA_FILE} promises {metadata['sha256']}: "
            "the weights were damaged or belong to another release"
        )
        raise ArtefactError(message)
    try:
        network = keras.saving.load_model(weights, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds; the caller needs one.
        message = f"Keras cannot load {weights}: {error}"
        raise ArtefactError(message) from error
    parts = {layer.name for layer in network.layers}
    if missing := sorted({SPECTROGRAM_NAME, SEARCH_NAME, FOLLOWER_NAME} - parts):
        message = f"{weights} lacks {missing}: it was released by another version; calibrate its training anew"
        raise ArtefactError(message)
    return Artefact(
        network=network,
        name=str(metadata["name"]),
        version=str(metadata["version"]),
        sha256=actual,
        calibration=Calibration.from_json(metadata["calibration"]),
        families=tuple(metadata["families"]),
        bitrate_classes=tuple(metadata["bitrate_classes"]),
        metadata=metadata,
    )


def save_artefact(
    folder: Path,
    network: keras.Model,
    *,
    name: str,
    version: str,
    calibration: Calibration,
    extra: dict[str, Any] | None = None,
) -> str:
    """Write ``network.keras`` and ``metadata.json``; return the weights' SHA-256.

    Args:
        folder: created where missing; existing files are replaced.
        network: all parts joined, with the input length they are to be served at.
        name: of the architecture.
        version: of this training.
        calibration: fitted on validation sources.
        extra: further metadata: seeds, git revision, data manifest hash, command, metrics.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / NETWORK_FILE
    network.save(weights)
    sha256 = file_sha256(weights)
    metadata = {
        **(extra or {}),
        "name": name,
        "version": version,
        "sha256": sha256,
        "calibration": calibration.to_json(),
        "families": list(FAMILIES),
        "bitrate_classes": list(BITRATE_CLASSES),
        "grids": list(GRIDS),
        "segment_samples": SEGMENT_SAMPLES,
        "keras_version": keras.__version__,
    }
    text = json.dumps(metadata, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / METADATA_FILE).write_text(text + "\n", encoding="utf-8")
    return sha256


def read_identity(folder: Path) -> tuple[str, str, str]:
    """Return name, version and SHA-256 of a detector without loading it.

    Raises:
        ArtefactError: the metadata are missing or describe something else.
    """
    metadata = _read_metadata(folder / METADATA_FILE)
    return str(metadata["name"]), str(metadata["version"]), str(metadata["sha256"])
