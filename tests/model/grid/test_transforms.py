"""The transforms against their definitions, and against their inverses."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import ModelError
from model.grid.celt import ResampledCeltEvidence
from model.grid.celt_lattice import CeltLatticeEvidence
from model.grid.constants import CELT_PREEMPHASIS, MPEG_SUBBANDS, MPEG_TAPS
from model.grid.dts import DTSEvidence
from model.grid.errors import GridError
from model.grid.evidence import OffsetEvidence
from model.grid.grids import evidence_layers
from model.grid.half_rate import HalfRateEvidence
from model.grid.lattice import AC3LatticeEvidence
from model.grid.mdct import MDCTEvidence, celt_at_48k
from model.grid.mp3_hybrid import HybridEvidence, ShortHybridEvidence, SubbandEvidence
from model.grid.mpeg_prototype import analysis_matrix
from model.grid.power_lattice import AACLatticeEvidence, MP3LatticeEvidence
from model.grid.stretches import every_offset, every_offset_reversed
from model.grid.vorbis_lattice import VorbisLatticeEvidence
from model.grid.windows import celt, kaiser_bessel_derived, named, power_sine, sine


def _array(tensor: object) -> NDArray[np.float32]:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("window", [kaiser_bessel_derived(256, 5.0), sine(256), power_sine(256), celt()])
def test_windows_reconstruct(window: NDArray[np.float64]) -> None:
    """Guards the shapes: overlapping squares add up to one, or no decoder would use them."""
    half = window.size // 2
    np.testing.assert_allclose(window[:half] ** 2 + window[half:] ** 2, 1.0, atol=1e-12)


def test_an_unknown_window_is_refused() -> None:
    """Guards the configuration: a typing error must not become a silent default."""
    with pytest.raises(GridError):
        named("hann", 256)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: MDCTEvidence(256, "sine", n),
        ResampledCeltEvidence,
        HybridEvidence,
        ShortHybridEvidence,
        SubbandEvidence,
        AC3LatticeEvidence,
        AACLatticeEvidence,
        MP3LatticeEvidence,
        lambda n: CeltLatticeEvidence(48_000, n),
        VorbisLatticeEvidence,
    ],
)
def test_an_odd_number_of_stretches_is_refused(make: Callable[[int], OffsetEvidence]) -> None:
    """Guards the two halves: one stretch too many would fall to neither, or shift them all."""
    with pytest.raises(ModelError, match="halves"):
        make(3)


def test_every_offset_is_a_sliding_window() -> None:
    """Guards the copying trick in both directions."""
    rows = np.arange(40, dtype=np.float32).reshape(2, 20)
    forward = np.lib.stride_tricks.sliding_window_view(rows, 6, axis=1)[:, :11]
    np.testing.assert_array_equal(_array(every_offset(rows, 11, 6)), forward)
    np.testing.assert_array_equal(_array(every_offset(rows, 4, 6, 3)), forward[:, ::3])
    np.testing.assert_array_equal(_array(every_offset_reversed(rows, 11, 6)), forward[..., ::-1])


def test_mdct_equals_its_definition() -> None:
    """Guards fold, twiddles and the order of offsets and lines against the plain sum."""
    frame = 64
    layer = MDCTEvidence(frame, "kbd", 2, alpha=4.0)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3 * frame)).astype(np.float32)
    got = _array(layer.coefficients(keras.ops.convert_to_tensor(x)))
    lines = np.round(layer.positions() * frame - 0.5)
    n = np.arange(2 * frame)[:, None]
    basis = np.cos(np.pi / frame * (n + 0.5 + frame / 2) * (lines + 0.5)) * np.sqrt(2 / frame)
    basis *= kaiser_bessel_derived(frame, 4.0)[:, None]
    wanted = np.lib.stride_tricks.sliding_window_view(x, 2 * frame, axis=1)[:, :frame] @ basis
    ordered = np.stack([_array(layer.in_order(channel)) for channel in got])
    np.testing.assert_allclose(ordered, wanted, atol=2e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MDCTEvidence(256, "sine", 2),
        lambda: celt_at_48k(2, "celt"),
        lambda: HybridEvidence(2),
        lambda: ShortHybridEvidence(2),
        lambda: SubbandEvidence(2),
        lambda: DTSEvidence(2),
        lambda: AACLatticeEvidence(2),
        lambda: MP3LatticeEvidence(2),
        lambda: HalfRateEvidence(2),
    ],
)
def test_rounding_noise_has_unit_gain(make: Callable[[], MDCTEvidence]) -> None:
    """Guards the unit of the hole: white noise stays as strong in every transform."""
    layer = make()
    rng = np.random.default_rng(2)
    blocks = -(-layer.needed // layer.hop())
    # Four stretches: one of AAC's 192 lines that are looked at strays by 3 %.
    noise = (rng.standard_normal((2, blocks * layer.hop())).astype(np.float32) for _ in range(4))
    powers = [np.square(_array(layer.coefficients(keras.ops.convert_to_tensor(x)))).mean() for x in noise]
    spread = float(np.sqrt(np.mean(powers)))
    assert spread == pytest.approx(1.0, abs=0.06)


def test_polyphase_nearly_reconstructs() -> None:
    """Guards the table of 512 taps: the standard's own reconstruction error is -84 dB on noise."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal(4_096)
    analysis = analysis_matrix(np.arange(MPEG_SUBBANDS))
    rows = np.lib.stride_tricks.sliding_window_view(x, MPEG_TAPS)[::MPEG_SUBBANDS]
    out = np.zeros(x.size)
    for index, subbands in enumerate(rows @ analysis):
        start = index * MPEG_SUBBANDS
        out[start : start + MPEG_TAPS] += analysis @ subbands
    middle = slice(1_024, 3_072)
    scale = float(out[middle] @ x[middle] / (x[middle] @ x[middle]))
    error = out[middle] / scale - x[middle]
    assert 10 * np.log10((error**2).mean()) < -83.0


def test_a_followed_frame_at_half_the_rate_is_the_searched_one() -> None:
    """Guards the order of even and odd offsets, and which samples a frame is cut from."""
    layer = HalfRateEvidence(2)
    x = np.random.default_rng(7).standard_normal((2, layer.needed)).astype(np.float32)
    got = _array(layer.coefficients(keras.ops.convert_to_tensor(x)))
    ordered = np.stack([_array(layer.in_order(channel)) for channel in got])
    whole = _array(layer.prepared(keras.ops.convert_to_tensor(x)))
    for offset in (20, 21, 1_023, 2_047):  # not before the low-pass has heard enough
        frame = keras.ops.convert_to_tensor(whole[:, None, offset : offset + layer.window])
        np.testing.assert_allclose(_array(layer.frame_coefficients(frame))[:, 0], ordered[:, offset], atol=1e-4)


def test_short_blocks_equal_their_definition() -> None:
    """Guards inversion, window and order against the plain sums: every offset's block begins with an even slot."""
    layer = ShortHybridEvidence(2)
    x = np.random.default_rng(6).standard_normal((2, layer.needed)).astype(np.float32)
    got = _array(layer.coefficients(keras.ops.convert_to_tensor(x)))
    subbands = (layer.positions().reshape(6, -1)[0] * MPEG_SUBBANDS).astype(int)
    filters = analysis_matrix(subbands)
    filters = filters / np.sqrt((filters**2).sum(axis=0))
    n, line = np.arange(12), np.arange(6)[:, None]
    block = np.sin(np.pi / 12 * (n + 0.5)) * np.cos(np.pi / 24 * (2 * n + 7) * (2 * line + 1)) / np.sqrt(3.0)
    for offset in (0, 1, 31, 32, 100, 191):
        slots = np.stack([x[:, offset + 32 * slot : offset + 32 * slot + MPEG_TAPS] @ filters for slot in range(12)])
        slots[1::2, :, subbands % 2 == 1] *= -1.0
        wanted = np.einsum("lw,wcs->cls", block, slots).reshape(2, -1)
        np.testing.assert_allclose(got[:, offset], wanted, atol=2e-5)


def test_preemphasis_is_undone_in_the_level() -> None:
    """Guards the whitening of CELT at 48 kHz: a sine comes out at its own level."""
    layer = celt_at_48k(2, "celt")
    hertz = 8_012.5  # the middle of line 320
    seconds = np.arange(2_880) / 48_000.0
    x = np.stack([np.cos(2 * np.pi * hertz * seconds)] * 2).astype(np.float32)
    lines = _array(layer.coefficients(keras.ops.convert_to_tensor(x)))[0]
    strongest = float(np.abs(lines[2:]).max())
    flat = float(np.sqrt(960 / 2) * (celt() ** 1).sum() / (2 * 960))
    assert CELT_PREEMPHASIS > 0.0
    assert strongest == pytest.approx(2 * flat, rel=0.1)


# Others are not searched frame by frame, or not followed line by line; Vorbis' lattice is, at eight places a frame.
_BY_LINE = [
    grid
    for grid, layer in evidence_layers(0.0).items()
    if layer.fineness == 1 and layer.rate_hz is None and layer.is_followed and grid != "vorbis_lattice"
]


@pytest.mark.parametrize("grid", _BY_LINE)
def test_a_frame_by_itself_is_the_row_of_its_offset(grid: str) -> None:
    """Guards following: the offset that the search named must be the one whose frames are read, line by line."""
    layer = evidence_layers(0.0)[grid]
    blocks = -(-layer.needed // layer.hop())
    x = np.random.default_rng(5).standard_normal((2, blocks * layer.hop())).astype(np.float32)
    wanted = np.stack([_array(layer.in_order(channel)) for channel in _array(layer.coefficients(x))])
    offsets = sorted({0, 1, 2, 3, layer.offsets // 2 - 1, layer.offsets // 2, layer.offsets - 1})
    prepared = _array(layer.prepared(x))
    frames = np.stack([prepared[:, offset : offset + layer.window] for offset in offsets], axis=1)
    got = _array(layer.frame_coefficients(frames))
    assert got.shape == (2, len(offsets), layer.positions().size)
    np.testing.assert_allclose(got, wanted[:, offsets], atol=2e-5)
