"""A pool of decoder children for the whole folder, and files to read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from worker.audio.decoder_pool import DecoderPool
from worker.exceptions import UnusableAudioError
from worker.settings import Settings

Refused = Callable[..., UnusableAudioError]
Write = Callable[..., Path]


def make_settings(*prefixes: object, **changes: Any) -> Settings:
    """Settings for a small pool; slices are read from the first byte on."""
    values: dict[str, Any] = {
        "decoder_processes": 1,
        "decode_deadline_s": 20,
        "windows_per_track": 3,
        "whole_object_bytes": 0,
    }
    return Settings(_env_file=None, allowed_uri_prefixes=list(map(str, prefixes)), **(values | changes))


@pytest.fixture(scope="session")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only folder that may be read."""
    return Path(tmp_path_factory.mktemp("inbox"))


@pytest.fixture(scope="session")
def pool(inbox: Path) -> Iterator[DecoderPool]:
    """A warm pool that reads the inbox."""
    with DecoderPool(make_settings(inbox, decoder_processes=2)) as decoders:
        decoders.warm_up()
        yield decoders


@pytest.fixture
def refused(pool: DecoderPool) -> Refused:
    """Read something that can't be read; gives the error."""

    def read(uri: object, expected_sha256: str | None = None) -> UnusableAudioError:
        with pytest.raises(UnusableAudioError) as caught:
            pool.read(str(uri), expected_sha256)
        assert caught.value.detail.endswith(".")
        return caught.value

    return read


def noise(samples: int, channels: int, seed: int = 0) -> NDArray[np.float64]:
    """Noise over tones: every sample differs, so a slice that is off by one shows."""
    time = np.arange(samples)[:, None]
    tones = 0.3 * np.sin(time * (0.01 + 0.003 * np.arange(channels)))
    return tones + np.random.default_rng(seed).uniform(-0.2, 0.2, (samples, channels))


@pytest.fixture
def write(inbox: Path, request: pytest.FixtureRequest) -> Write:
    """Write audio of noise into the inbox; gives its path."""

    def write_audio(
        samples: int = 400_000,
        rate_hz: int = 44_100,
        channels: int = 2,
        kind: str = "FLAC",
        subtype: str = "PCM_16",
        name: str = "a.flac",
    ) -> Path:
        path = inbox / f"{request.node.name.replace('/', '_')}-{name}"
        soundfile.write(path, noise(samples, channels), rate_hz, format=kind, subtype=subtype)
        return path

    return write_audio


def with_total_samples(flac: bytes, total: int) -> bytes:
    """Patch STREAMINFO: the FLAC announces another length."""
    packed = int.from_bytes(flac[18:26], "big") >> 36 << 36 | total
    return flac[:18] + packed.to_bytes(8, "big") + flac[26:]
