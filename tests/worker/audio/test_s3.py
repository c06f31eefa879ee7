"""Objects in S3, through tensorflow-io's filesystem against a real HTTP server."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from tests.worker.audio.conftest import Write, make_settings
from worker.audio.decoder_pool import DecoderPool
from worker.exceptions import UnusableAudioError
from worker.records import Reason


@dataclass
class Store:
    """A running store."""

    server: ThreadedMotoServer
    client: Any


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """An S3 server with one bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
    client.create_bucket(Bucket="masters")
    yield Store(server, client)
    client.close()
    server.stop()


@pytest.fixture(scope="module")
def s3_pool(store: Store) -> Iterator[DecoderPool]:
    """A pool whose children know the server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S3_ENDPOINT", store.client.meta.endpoint_url)
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "a")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        settings = make_settings("s3://masters/in", "s3://nobody/", fetch_attempts=2, whole_object_bytes=1000)
        with DecoderPool(settings) as decoders:
            decoders.warm_up()
            yield decoders


def test_slices(s3_pool: DecoderPool, store: Store, pool: DecoderPool, write: Write) -> None:
    """Windows from S3 equal those of the local file; size and time stand for the version."""
    path = write()
    store.client.upload_file(str(path), "masters", "in/a b%20c.flac")
    audio = s3_pool.read("s3://masters/in/a b%20c.flac", None)
    np.testing.assert_array_equal(pool.read(str(path), None).segments, audio.segments)
    assert audio.facts.sha256 is None
    assert str(path.stat().st_size) in (audio.facts.version_tag or "")


def test_whole(s3_pool: DecoderPool, store: Store, write: Write) -> None:
    """An expected hash makes the whole object be read and compared."""
    content = write().read_bytes()
    store.client.put_object(Bucket="masters", Key="in/b.flac", Body=content)
    digest = hashlib.sha256(content).hexdigest()
    assert digest == s3_pool.read("s3://masters/in/b.flac", digest).facts.sha256
    with pytest.raises(UnusableAudioError) as caught:
        s3_pool.read("s3://masters/in/b.flac", "0" * 64)
    assert caught.value.reason == Reason.CHECKSUM_MISMATCH


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://masters/in/missing.flac", Reason.NOT_FOUND),
        ("s3://nobody/in/missing.flac", Reason.NOT_FOUND),
        ("s3://masters/in/empty.flac", Reason.EMPTY),
        ("s3://masters/out/a.flac", Reason.URI_NOT_ALLOWED),
        ("s3://masters/in/cut.flac", Reason.CORRUPT),
    ],
)
def test_refusals(s3_pool: DecoderPool, store: Store, write: Write, uri: str, reason: Reason) -> None:
    """Missing objects and buckets, empty and damaged objects, other folders."""
    store.client.put_object(Bucket="masters", Key="in/empty.flac", Body=b"")
    store.client.put_object(Bucket="masters", Key="in/cut.flac", Body=write().read_bytes()[:100_000])
    with pytest.raises(UnusableAudioError) as caught:
        s3_pool.read(uri, None)
    assert reason == caught.value.reason


def test_dead_store(s3_pool: DecoderPool, store: Store) -> None:
    """A store that is down is a failed fetch; tensorflow-io alone would call the object missing.

    The last test of the module: it stops the server.
    """
    store.server.stop()
    with pytest.raises(UnusableAudioError) as caught:
        s3_pool.read("s3://masters/in/a.flac", None)
    assert caught.value.reason == Reason.FETCH_FAILED
