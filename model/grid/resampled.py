"""Decodes that were resampled after decoding, and the resampling undone: any codec's grid, between two samples."""

import functools
import json
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.grid.angles import AngleEvidence
from model.grid.constants import PHASE_STEP
from model.grid.evidence import OffsetEvidence
from model.grid.mdct import MDCTEvidence


def _analytic(kernel: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return lines (window, lines) with what each is a quarter of a period later as imaginary part."""
    spectrum = np.fft.fft(kernel, axis=0)
    spectrum[1 : (len(kernel) + 1) // 2] *= 2.0
    spectrum[len(kernel) // 2 + 1 :] = 0.0
    # conj: a line read later turns forwards.
    return np.asarray(np.conj(np.fft.ifft(spectrum, axis=0)), dtype=np.complex128)


def _every_second(positions: NDArray[np.float64], band_edges: tuple[float, ...]) -> NDArray[np.intp]:
    """Return which coefficients the search looks at, by rising frequency: indices (lines,)."""
    order = np.argsort(positions, kind="stable")
    return order[(positions[order] >= band_edges[0]) & (positions[order] < band_edges[-1])][::2]


@functools.cache
def _looks(described: str, band_edges: tuple[float, ...]) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Return what the search looks at of a grid: its analytic lines (window, lines) and their positions (lines,).

    Every process builds each grid several times (once a network, once on loading), and this is the dear part of it.

    Args:
        described: the serialised layer, as JSON.
        band_edges: lines between the outer ones count.
    """
    layer: OffsetEvidence = keras.saving.deserialize_keras_object(json.loads(described))
    identity = np.eye(layer.window, dtype=np.float32)[None]
    kernel = np.asarray(ops.convert_to_numpy(layer.frame_coefficients(identity)))[0]
    positions = layer.positions()
    looked_at = _every_second(positions, band_edges)
    return _analytic(kernel[:, looked_at].astype(np.float64)), positions[looked_at]


@keras.saving.register_keras_serializable("lossgate")
class ResampledEvidence(AngleEvidence):
    """Another grid's holes at every fortieth of a sample: (b, n, 2) -> (b, HALVES, frame * 40 + 1, 1, 1).

    The samples are those at the rate the codec worked at, see ``OtherRate``.  Every second line is looked at: half the
    cost, and holes are not rarer there.  Following reads all of them.
    """

    step = PHASE_STEP

    def __init__(self, evidence: OffsetEvidence | dict[str, Any], stretches: int, **kwargs: Any) -> None:
        """``evidence`` is the grid as it was before the resampling; ``stretches`` of every segment are searched."""
        super().__init__(stretches=stretches, **kwargs)
        layer = keras.saving.deserialize_keras_object(evidence) if isinstance(evidence, dict) else evidence
        self._evidence: OffsetEvidence = layer
        self.window, self.stride = layer.window, layer.stride
        self.offsets = layer.offsets * self.fineness
        self._lines = np.zeros(0, dtype=np.intp)
        if isinstance(layer, MDCTEvidence):
            self._look_by_fft(layer)
            return
        described = {**keras.saving.serialize_keras_object(layer), "build_config": None}
        described["config"] = {**described["config"], "name": "looked_at"}
        self.look_with(*_looks(json.dumps(described, sort_keys=True), self.band_edges))

    def _look_by_fft(self, layer: MDCTEvidence) -> None:
        """An MDCT's analytic lines by FFT: less than one product with a matrix."""
        positions = layer.positions()
        positions = positions[_every_second(positions, self.band_edges)]
        lines = np.round(positions * layer.frame - 0.5).astype(np.intp)
        self._lines = lines[::-1] if lines[0] % 2 else lines
        self.look_at((self._lines + 0.5) / layer.frame, layer.window)

    def turning_lines(self, frames: Any) -> Any:
        """(2, looks, window) -> (2, looks, 2 * lines)."""
        if isinstance(self._evidence, MDCTEvidence):
            return self._evidence.turning_lines(frames, self._lines)
        return super().turning_lines(frames)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Nothing is trained, here or in the grid's own layer."""
        del input_shape
        self._evidence.built = self.built = True

    def positions(self) -> NDArray[np.float64]:
        """Return the frequency of each coefficient as a fraction of Nyquist."""
        return self._evidence.positions()

    def frame_coefficients(self, frames: Any) -> Any:
        """(2, frames, window) -> (2, frames, coefficients)."""
        return self._evidence.frame_coefficients(frames)

    def get_config(self) -> dict[str, Any]:
        """Everything the constructor takes."""
        return {**super().get_config(), "evidence": keras.saving.serialize_keras_object(self._evidence)}
