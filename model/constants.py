"""Every number of the signal side, with its unit.

A number that a trained artefact depends on changes only together with the artefact.
"""

from typing import Final

# --- Segments -------------------------------------------------------------------

SEGMENT_SAMPLES: Final = 131_072  # samples a segment at the analysis rate (2.97 s at 44.1 kHz)
SEGMENT_CHANNELS: Final = 2  # left, right
ANALYSIS_RATES_HZ: Final = (44_100, 48_000)  # Hz; the rates the network was trained at

# Native samples read on either side of a window that has to be resampled, so that the
# resampler's own edges fall outside the segment.  soxr's HQ filter is shorter.
RESAMPLER_EDGE_SAMPLES: Final = 2_048  # samples at the native rate
# What rounding in a resampler may cost; a segment short by more is an error.
RESAMPLER_SLACK_SAMPLES: Final = 8  # samples at the analysis rate

# --- Time-frequency image -------------------------------------------------------

STFT_FRAME_SAMPLES: Final = 2_048  # samples; 21.5 Hz a bin at 44.1 kHz
STFT_HOP_SAMPLES: Final = 1_024  # samples; half a frame
STFT_FLOOR_DB: Final = -130.0  # dB re full-scale sine; just below 16-bit rounding noise a bin

# The random high-frequency mask of training (Koops 2024): without it a network learns
# nothing but the encoders' cut-off.
MASK_PROBABILITY: Final = 0.6  # share of the training images that are masked
MASK_LOWEST_FRACTION: Final = 0.4  # of Nyquist: 8.8 kHz at 44.1 kHz

# --- What the network tells apart ------------------------------------------------

FAMILIES: Final = ("aac", "ac3", "mp2", "mp3", "opus", "vorbis", "wma")
BITRATE_CLASSES: Final = ("LE_96", "LE_160", "LE_224", "LE_288", "GT_288")
# Upper edges of the first four classes, inclusive, stereo; the fifth is open.
BITRATE_EDGES_KBPS: Final = (96.0, 160.0, 224.0, 288.0)  # kbit/s

# --- Frame grids -------------------------------------------------------------------

# From here a grid's score is worth telling a reviewer; unaltered audio stays below (field: 5.7).
TELLING_GRID_SCORE: Final = 8.0  # standard deviations over all other frame offsets
# From here it needs no second segment, and no treble either: content does not do that.
CLEAR_GRID_SCORE: Final = 20.0  # as well; unaltered audio that was followed: below 6

# A search costs about one CPU-second a segment; it stops early where the first segments are clear.
SEARCHED_SEGMENTS: Final = 3  # at most, of a track

# --- Measures behind the abstention ---------------------------------------------

BANDWIDTH_FRAME_SAMPLES: Final = 4_096  # samples; 10.8 Hz a bin at 44.1 kHz
BANDWIDTH_SMOOTHING_HZ: Final = 200.0  # Hz; a lone spur is not bandwidth
BANDWIDTH_BELOW_PEAK_DB: Final = 85.0  # dB under the strongest band still counts as content
BANDWIDTH_FLOOR_DBFS: Final = -122.0  # dB a bin; 16-bit rounding noise lies near -130
SILENCE_DBFS: Final = -70.0  # dB re full-scale sine, RMS; quieter segments carry no evidence


def bitrate_class_index(kbps: float) -> int:
    """Return the index in ``BITRATE_CLASSES`` for a stereo bitrate in kbit/s."""
    for index, edge in enumerate(BITRATE_EDGES_KBPS):
        if kbps <= edge:
            return index
    return len(BITRATE_EDGES_KBPS)
