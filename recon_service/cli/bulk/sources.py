"""Where the selfies of a bulk enrollment lie: below a folder, or below a prefix of an S3 bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from recon_service.domain.errors import InvalidValue, NotFound, StorageFault

MAX_BYTES = 40_000_000


class Source(Protocol):
    """Reads files by the names that the index has for them."""

    def read(self, name: str) -> bytes:
        """Raises ReconError: not there, not below the source, too large."""
        ...


def open_source(place: str, *, endpoint: str = "") -> Source:
    """A folder, or s3://bucket/prefix (keys as boto3 finds them). Raises InvalidValue, StorageFault."""
    if place.startswith("s3://"):
        return BucketSource(place, endpoint)
    root = Path(place)
    if not root.is_dir():
        raise InvalidValue(f"{place} is no folder", next_step="Name the folder that the selfies lie in.")
    return FolderSource(root)


class FolderSource:
    """See ``Source``. A name that leads out of the folder, by dots or links, is refused."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        try:
            path = (self._root / name).resolve()
            if not path.is_relative_to(self._root):
                raise InvalidValue(f"{name} lies outside of the folder")
            if path.stat().st_size > MAX_BYTES:
                raise InvalidValue(f"{name} is larger than {MAX_BYTES} bytes")
            return path.read_bytes()
        except (OSError, ValueError) as fault:
            raise NotFound(f"{name} cannot be read") from fault


class BucketSource:
    """See ``Source``."""

    def __init__(self, place: str, endpoint: str) -> None:
        import boto3
        from botocore.config import Config

        from recon_service.storage.s3_store import S3Address

        address = S3Address.parse(place, endpoint=endpoint)
        self._bucket, self._prefix = address.bucket, address.prefix
        style = {"addressing_style": "path" if endpoint else "auto"}
        self._client = boto3.client("s3", endpoint_url=endpoint or None, config=Config(s3=style))

    def read(self, name: str) -> bytes:
        """The object's bytes."""
        from botocore.exceptions import BotoCoreError, ClientError

        if name.startswith("/") or ".." in name.split("/"):
            raise InvalidValue(f"{name} lies outside of the prefix")
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            if found["ContentLength"] > MAX_BYTES:
                raise InvalidValue(f"{name} is larger than {MAX_BYTES} bytes")
            content: bytes = found["Body"].read()
        except ClientError as fault:
            raise NotFound(f"{name} cannot be read: {fault.response['Error'].get('Code', '')}") from fault
        except (BotoCoreError, OSError) as fault:
            raise StorageFault(
                "the object store does not answer", next_step="Check the address and the keys; run it again."
            ) from fault
        return content
