"""An archive on a server that speaks S3."""

from __future__ import annotations

import io
from collections.abc import Iterator

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from resegment.archive.archive import Archive
from resegment.archive.lease import ArchiveBusy, Lease, LeaseLost
from resegment.archive.storage import ArchiveUnreachable, Storage
from tests.unit.archive.test_archive import fact

BUCKET = "our-bucket"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def storage(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return Storage(f"s3://{BUCKET}/archive")


def test_a_bucket_keeps_each_record_once_though_two_archivers_write(storage: Storage, endpoint: str) -> None:
    slow, fast = (Archive.prepare(storage, "shop", "wall", 8) for _ in range(2))
    lease = Lease(storage)
    lease.take()
    with pytest.raises(ArchiveBusy):
        Lease(storage).take()
    slow_held = slow.take_over("signals", [0], lease.number)
    lease.give_back()
    lease.take()
    manifest = fast.append(fast.take_over("signals", [0], lease.number)[0], [fact(0), fact(30)])
    with pytest.raises(LeaseLost):
        slow.append(slow_held[0], [fact(0), fact(30), fact(31)])
    manifest = fast.append(manifest, [fact(31), fact(60)])
    assert [one.offset for found in fast.records(manifest) for one in found] == [0, 30, 31, 60]
    client = boto3.client("s3")
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix="archive/signals/")["Contents"]
    bodies = [client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in listed]
    offsets = [row for body in bodies for row in pl.read_parquet(io.BytesIO(body))["log_offset"]]
    assert sorted(offsets) == [0, 30, 31, 60]


def test_a_bucket_that_is_not_there_is_reported(storage: Storage) -> None:
    with pytest.raises(ArchiveUnreachable, match="no-such-bucket"):
        Archive.prepare(Storage("s3://no-such-bucket/archive"), "shop", "wall", 8)
