"""Local files from URI to windows, through real decoder children."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from model.framing import plan_windows, to_segment
from tests.worker.audio.conftest import Refused, Write, noise, with_total_samples
from tests.worker.audio.flac_writer import write_flac
from worker.audio.decoder_pool import DecoderPool
from worker.records import Decoder, Reason


def expected_segments(path: Path, total: int, rate_hz: int) -> NDArray[np.float32]:
    """What libsndfile and the framing make of a file."""
    whole, _ = soundfile.read(path, dtype="float32", always_2d=True)
    windows = plan_windows(total, rate_hz, 3)
    return np.stack([to_segment(whole[w.start : w.start + w.length], rate_hz) for w in windows])


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize(
    ("kind", "subtype", "decoder"),
    [
        ("FLAC", "PCM_S8", Decoder.TENSORFLOW_IO),
        ("FLAC", "PCM_16", Decoder.TENSORFLOW_IO),
        ("FLAC", "PCM_24", Decoder.TENSORFLOW_IO),
        ("WAV", "PCM_U8", Decoder.TENSORFLOW_IO),
        ("WAV", "PCM_16", Decoder.TENSORFLOW_IO),
        ("WAVEX", "PCM_24", Decoder.TENSORFLOW_IO),
        ("WAV", "FLOAT", Decoder.TENSORFLOW_IO),
        ("WAV", "PCM_32", Decoder.LIBSNDFILE),
        ("WAV", "DOUBLE", Decoder.LIBSNDFILE),
        ("RF64", "PCM_16", Decoder.LIBSNDFILE),
    ],
)
def test_slices_are_bit_exact(
    pool: DecoderPool, write: Write, kind: str, subtype: str, decoder: Decoder, channels: int
) -> None:
    """Random access without a seek table returns exactly the samples a full decode has there."""
    path = write(kind=kind, subtype=subtype, channels=channels)
    audio = pool.read(str(path), None)
    np.testing.assert_array_equal(expected_segments(path, 400_000, 44_100), audio.segments)
    assert decoder == audio.facts.decoder
    assert audio.facts.sha256 is None
    assert audio.facts.version_tag is not None


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 48_000, 96_000, 384_000])
def test_rates(pool: DecoderPool, write: Write, rate_hz: int) -> None:
    """Every rate ends in whole segments at an analysis rate."""
    path = write(samples=int(3.5 * rate_hz), rate_hz=rate_hz, subtype="PCM_24")
    audio = pool.read(str(path), None)
    np.testing.assert_array_equal(expected_segments(path, int(3.5 * rate_hz), rate_hz), audio.segments)
    assert (44_100 if rate_hz == 11_025 else 48_000) == audio.analysis_rate_hz
    assert pytest.approx(3.5, abs=1e-3) == audio.facts.duration_s


@pytest.mark.parametrize("samples", [1, 131_071])
def test_short_tracks_have_no_segments(pool: DecoderPool, write: Write, samples: int) -> None:
    """Too short to judge is not an error of the file: the policy says so, from the facts."""
    audio = pool.read(str(write(samples=samples)), None)
    assert audio.segments.shape == (0, 131_072, 2)
    assert samples == audio.facts.total_samples
    assert audio.facts.decoder is None


def test_hash_of_the_whole(pool: DecoderPool, refused: Refused, write: Write) -> None:
    """An expected hash is checked over the whole file."""
    path = write()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == pool.read(str(path), digest).facts.sha256
    assert refused(path, "0" * 64).reason == Reason.CHECKSUM_MISMATCH


@pytest.mark.parametrize("claim", [400_001, 404_096, 500_000, 2**36 - 1])
def test_streaminfo_that_claims_more_samples_than_exist(refused: Refused, write: Write, claim: int) -> None:
    """The claim that makes tensorflow-io wait for ever is found out before it is asked."""
    path = write()
    path.write_bytes(with_total_samples(path.read_bytes(), claim))
    error = refused(path)
    assert error.reason == Reason.CORRUPT
    assert f"{claim - 400_000:,} are missing" in error.detail


def test_streaminfo_that_claims_fewer_samples(refused: Refused, write: Write) -> None:
    """Audio behind the announced end was hidden or the header altered."""
    path = write()
    path.write_bytes(with_total_samples(path.read_bytes(), 300_000))
    assert "100,000 more are there" in refused(path).detail


def test_unannounced_length(pool: DecoderPool, write: Write) -> None:
    """A FLAC may leave its length open; libsndfile reads it once it is told."""
    path = write()
    segments = pool.read(str(path), None).segments
    path.write_bytes(with_total_samples(path.read_bytes(), 0))
    audio = pool.read(str(path), None)
    np.testing.assert_array_equal(segments, audio.segments)
    assert (audio.facts.decoder, audio.facts.total_samples) == (Decoder.LIBSNDFILE, 400_000)


@pytest.mark.parametrize("tag_bytes", [500, 200_000])
def test_id3_in_front(pool: DecoderPool, write: Write, tag_bytes: int) -> None:
    """A tag in front, with a cover picture larger than the header probe, changes nothing."""
    path = write()
    segments = pool.read(str(path), None).segments
    size = bytes((tag_bytes >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x04\x00\x00" + size + bytes(tag_bytes) + path.read_bytes())
    audio = pool.read(str(path), None)
    np.testing.assert_array_equal(segments, audio.segments)
    assert audio.facts.decoder == Decoder.LIBSNDFILE


def test_tag_behind(pool: DecoderPool, write: Write) -> None:
    """An ID3v1 tag behind the audio is no damage."""
    path = write()
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
    assert pool.read(str(path), None).facts.total_samples == 400_000


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.9, -100, -1])
def test_cut_off(refused: Refused, write: Write, keep: float) -> None:
    """A FLAC cut anywhere is corrupt, also within its last frame."""
    path = write()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)] if keep > 0 else data[:keep])
    assert refused(path).reason == Reason.CORRUPT


def test_hole_in_the_middle(refused: Refused, write: Write) -> None:
    """Damage inside a window is corrupt, and says where."""
    path = write()
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    error = refused(path)
    assert error.reason == Reason.CORRUPT
    assert "131,072 samples from sample" in error.detail


@pytest.mark.parametrize("depth", [12, 20, 32])
def test_depths_only_the_built_in_decoder_reads(pool: DecoderPool, refused: Refused, inbox: Path, depth: int) -> None:
    """Legal but rare depths are decoded bit for bit, and damage in them is found like in any other."""
    limit = 1 << (depth - 1)
    samples = np.random.default_rng(0).integers(-limit, limit, (140_000, 2))
    path = inbox / f"{depth}-bit.flac"
    path.write_bytes(write_flac(samples, 44_100, depth, block=4_096))
    audio = pool.read(str(path), None)
    (window,) = plan_windows(140_000, 44_100, 3)
    expected = (samples[window.start : window.start + window.length] / limit).astype(np.float32)
    np.testing.assert_array_equal(expected[None], audio.segments)
    assert (audio.facts.decoder, audio.facts.bit_depth) == (Decoder.BUILT_IN, depth)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert refused(path).reason == Reason.CORRUPT


def test_flac_that_changes_its_format(refused: Refused, inbox: Path) -> None:
    """A stream of unannounced length may change its rate, depth or channels midway; one verdict can't cover it."""
    path = inbox / "changing.flac"
    first = write_flac(np.zeros((140_000, 2), np.int64), 44_100, 16, block=4_096)
    for last, what in (
        (write_flac(np.zeros((4_096, 1), np.int64), 44_100, 16, block=4_096), "1 channel"),
        (write_flac(np.zeros((4_096, 2), np.int64), 44_100, 24, block=4_096), "24 bits"),
    ):
        path.write_bytes(with_total_samples(first, 0) + last[42:])
        error = refused(path)
        assert error.reason == Reason.UNSUPPORTED_FORMAT
        assert what in error.detail


@pytest.mark.parametrize("cut", [1, 40, 5_000])
def test_unannounced_length_cut_off(refused: Refused, write: Write, cut: int) -> None:
    """Where the header can't tell that something is missing, the last frame does."""
    path = write()
    path.write_bytes(with_total_samples(path.read_bytes(), 0)[:-cut])
    assert refused(path).reason == Reason.CORRUPT


def test_wav_named_flac(pool: DecoderPool, write: Write) -> None:
    """The magic decides, not the name."""
    assert pool.read(str(write(kind="WAV", name="a.flac")), None).facts.container == "wav"


def test_float_wav_beyond_full_scale(pool: DecoderPool, inbox: Path) -> None:
    """Infinities, NaN and overs reach the network as numbers in [-1, 1]."""
    samples = 3 * noise(200_000, 2)
    samples[100_000:100_003] = [[np.nan, np.inf], [-np.inf, 5], [0, -5]]
    path = inbox / "overs.wav"
    soundfile.write(path, samples, 44_100, subtype="FLOAT")
    segments = pool.read(str(path), None).segments
    assert np.abs(segments).max() == 1.0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"fLaC", Reason.CORRUPT),
        (np.random.default_rng(0).bytes(5000), Reason.UNSUPPORTED_FORMAT),
        (b"\xff\xfb\x90\x64" + bytes(5000), Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_no_audio(refused: Refused, inbox: Path, content: bytes, reason: Reason) -> None:
    """Empty files, stubs, garbage and MP3s named `.flac`."""
    path = inbox / "thing.flac"
    path.write_bytes(content)
    assert reason == refused(path).reason


def test_what_is_not_there(refused: Refused, inbox: Path) -> None:
    """Missing files, and files in folders that are files."""
    assert refused(inbox / "missing.flac").reason == Reason.NOT_FOUND


def test_never_blocks_on_special_files(refused: Refused, inbox: Path) -> None:
    """A named pipe, a folder and a device are refused at once instead of being waited for."""
    os.mkfifo(inbox / "pipe.flac")
    (inbox / "folder.flac").mkdir()
    assert "named pipe" in refused(inbox / "pipe.flac").detail
    assert "folder" in refused(inbox / "folder.flac").detail


def test_links_out_of_the_allowed_folder(refused: Refused, inbox: Path, tmp_path: Path) -> None:
    """A link inside the inbox opens nothing outside it, devices included; links within it work."""
    (tmp_path / "secret.flac").write_bytes(b"fLaC")
    for name, target in {"file": tmp_path / "secret.flac", "device": "/dev/zero", "folder": tmp_path}.items():
        (inbox / f"link-{name}").symlink_to(target)
    for uri in ("link-file", "link-device", "link-folder/secret.flac"):
        assert refused(inbox / uri).reason == Reason.URI_NOT_ALLOWED


def test_link_within_the_allowed_folder(pool: DecoderPool, inbox: Path, write: Write) -> None:
    """A link that stays inside is as good as its target."""
    link = inbox / "link-inside.flac"
    link.symlink_to(write())
    assert pool.read(f"file://{link}", None).facts.total_samples == 400_000


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(refused: Refused, write: Write) -> None:
    """A file the worker may not read is said to be that."""
    path = write()
    path.chmod(0)
    assert refused(path).reason == Reason.ACCESS_DENIED
