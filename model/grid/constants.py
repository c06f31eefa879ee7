"""Numbers of the frame-grid search, with their units."""

from typing import Final

# --- Frames, in samples at the analysis rate ------------------------------------

AAC_HOP: Final = 1_024  # ISO/IEC 14496-3, long blocks
AC3_HOP: Final = 256  # ATSC A/52, long blocks
AAC_SHORT_HOP: Final = 128  # ISO/IEC 14496-3, short blocks
VORBIS_SHORT_HOP: Final = 128  # libvorbis and ffmpeg, short blocks
VORBIS_HOP: Final = 1_024  # libvorbis and ffmpeg at 44.1 and 48 kHz, long blocks
WMA_HOP: Final = 2_048  # WMA 1 and 2 above 32 kHz
CELT_HOP: Final = 960  # RFC 6716, 20 ms at 48 kHz
CELT_OVERLAP: Final = 120  # samples; the flanks of CELT's window
CELT_HOP_AT_44K1: Final = 882  # samples; the same 20 ms at 44.1 kHz
MP3_GRANULE: Final = 576  # ISO/IEC 11172-3, layer III
MP3_SHORT_HOP: Final = 192  # ISO/IEC 11172-3, layer III, short blocks
MPEG_SUBBANDS: Final = 32  # ISO/IEC 11172-3, layers I to III
MPEG_TAPS: Final = 512  # length of the polyphase prototype
DTS_SUBBANDS: Final = 32  # ETSI TS 102 114
DTS_TAPS: Final = 512
SBC_SUBBANDS: Final = 8  # A2DP specification 1.3, appendix B; its other number, 4, is next to unused
SBC_TAPS: Final = 80

# The KBD windows' alpha: AAC long blocks 4, AC-3 5 (the standards).
AAC_KBD_ALPHA: Final = 4.0
AC3_KBD_ALPHA: Final = 5.0
AAC_SHORT_KBD_ALPHA: Final = 6.0

# First-order pre-emphasis of CELT at 48 kHz (RFC 6716, section 4.3.7.2).
CELT_PREEMPHASIS: Final = 0.850_006_10
# Parts of a sample at 44.1 kHz that are told apart.  libopus has the decoder drop 312 samples at 48 kHz (RFC 7845,
# pre-skip), ffmpeg's own encoder 120: untrimmed, the frames start 0.35 and 0.75 samples after a whole one, and both are
# told apart exactly.  0.025 samples off, following's exact score is a third (measured).
PHASES_A_SAMPLE: Final = 40
# Samples from one transform of Opus at 44.1 kHz that is looked at to the next.  Of 3, 6, 9 and 14, all up to 9 do as
# well (measured).
CELT_STEP: Final = 9
# The same of all other codecs: frames of 256, 576 and 1,024 samples are multiples.
PHASE_STEP: Final = 8
# What tells a hole from chance: so many harmonics of twice a line's angle.  Of 18 trimmed decodes of 256 and 320 kbit/s
# a segment alone names 7 with 8 of them, 13 with 16, 15 with 24, at a cost that grows with the square (measured).
PHASE_HARMONICS: Final = 16

# --- What counts as a hole -------------------------------------------------------

LSB_PER_UNIT: Final = 32_768.0  # 16-bit steps from 0 to full scale
# Rounding to 16 bit leaves 0.29 steps RMS in every orthonormal coefficient, TPDF dither
# 0.5.  Of 0.3, 0.45, 0.7 and 1.0 this found most (measured).
HOLE_WIDTH: Final = 0.7  # 16-bit steps, the sigma of the soft count
# Share of holes that the weights expect; 0.005 found a little less (measured).
HOLE_SHARE: Final = 0.05
# Width of a shallow hole, as a share of its bin's level.  Of 0.03, 0.1, 0.2 and 0.35 this found most of the decodes
# that an equaliser had followed (measured).
RELATIVE_HOLE_WIDTH: Final = 0.1

# A frame with less than this share of the mean energy over all offsets is partly silence; its holes count less.
# 0.1 and 0.2 find a little more in drums (87.0 against 86.6 % of 238 validation decodes at z >= 8) and let true drum
# recordings score a little higher (measured): no reason to change.
AUDIBLE_SHARE: Final = 0.7
# Least energy of a band over all offsets, as a share of the mean: relative holes don't count below the first, count
# in full from the second.
UNSTEADY: Final = 0.2
STEADY: Final = 0.5

# Added to a frame's count before its square root: frames without any hole don't differ by next to nothing.
QUIET_COUNT: Final = 0.02  # holes' weight

# --- What counts as a lattice point -----------------------------------------------

# AC-3's steps are powers of two of its own unit; 2^-k of it is 2^(0.5 + n) 16-bit steps of
# an orthonormal MDCT of 256 lines (A/52 scales by 2 / 512).  A coefficient with a larger step
# lies on the finer lattices as well; below 1.4, rounding to 16 bit blurs them.
AC3_STEPS: Final = (2.0**0.5, 2.0**1.5, 2.0**2.5)  # 16-bit steps
# Mantissas are longest, holes rarest, at low frequencies: from 250 Hz at 44.1 kHz.
LATTICE_BAND_EDGES: Final = (0.012, 0.1, 0.25, 0.5, 0.77)

# --- How candidates are followed ---------------------------------------------------

# A frame is compared with those so many samples beside it: near enough to hear the same, far enough to miss the grid.
# A steady note biases larger distances (measured: +1 to +4 sigma at 7 and 17 in blocks of 256).
BESIDE: Final = (-5, 5)  # samples

# --- Where to look ----------------------------------------------------------------

# Edges of the bands as fractions of Nyquist: 1.5, 4, 8, 12 and 17 kHz at 44.1 kHz.  Below,
# neighbouring offsets look alike; above, encoders cut.
BAND_EDGES: Final = (0.068, 0.18, 0.36, 0.54, 0.77)
# Where stretches are wanted that are even, so many samples at least are one moment: an encoder's short block.
MOMENT: Final = 128  # samples
# The same of HE-AAC's core, as fractions of the half rate's Nyquist: from 1.1 to 5.5 kHz.
HALF_RATE_BAND_EDGES: Final = (0.1, 0.2, 0.3, 0.4, 0.5)
CLIPPED: Final = 0.9995  # of the segment's peak; clipping after the decoder wipes the grid out
