"""Objects in an S3-compatible store, through boto3."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from recon_service.application.errors import StorageRefused, StorageUnavailable
from recon_service.domain.errors import InsecureConfiguration, NotFound
from recon_service.storage.folder_store import check_key

CONNECT_S: Final = 3.0
READ_S: Final = 10.0
ATTEMPTS: Final = 3
AT_ONCE: Final = 1000
"""Objects that one request may delete."""
_MISSING: Final = ("404", "NoSuchKey", "NotFound")
_DENIED: Final = ("401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket")


@dataclass(frozen=True, slots=True)
class S3Address:
    """A bucket, and the prefix of all our keys in it (empty, or with a slash at its end)."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, **rest: str) -> S3Address:
        """From ``s3://bucket/prefix``. Raises InsecureConfiguration."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or "@" in parts.netloc:
            raise InsecureConfiguration(
                "RECON_OBJECT_STORE is not an address like s3://bucket/prefix",
                next_step="Endpoint and keys have settings of their own, RECON_S3_….",
            )
        prefix = parts.path.strip("/")
        return cls(parts.netloc, f"{prefix}/" if prefix else "", **rest)


class S3ObjectStore:
    """See ``ports.ObjectStore``. S3 itself promises that an object is whole or not there, and that it is
    durable once the answer came.
    """

    def __init__(
        self,
        address: S3Address,
        *,
        connect_s: float = CONNECT_S,
        read_s: float = READ_S,
        attempts: int = ATTEMPTS,
        guarded: bool = False,
    ) -> None:
        """Opens no connection. guarded: nothing is put before ``refuse_if_public`` has had an answer."""
        self._unchecked = guarded
        self._bucket, self._prefix = address.bucket, address.prefix
        options: dict[str, Any] = {
            "connect_timeout": connect_s,
            "read_timeout": read_s,
            "retries": {"mode": "standard", "total_max_attempts": attempts},
            "max_pool_connections": 20,
            # Other servers than Amazon's are reached by name or address, without one name per bucket.
            "s3": {"addressing_style": "path" if address.endpoint else "auto"},
            # What is stored is authenticated by its encryption; servers differ in which checksums they know.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        self._place = {"endpoint_url": address.endpoint or None, "region_name": address.region}
        self._options = options
        self._client = boto3.client(
            "s3",
            **self._place,
            aws_access_key_id=address.access_key or None,
            aws_secret_access_key=address.secret_key or None,
            config=Config(**options),
        )

    def put(self, key: str, content: bytes) -> None:
        """One request; repeated when the server stumbles. Guarded, it raises InsecureConfiguration."""
        self._guard()
        with _faults():
            self._client.put_object(Bucket=self._bucket, Key=self._name(key), Body=content)

    def get(self, key: str) -> bytes:
        """The bytes. Raises NotFound."""
        with _faults():
            body = self._client.get_object(Bucket=self._bucket, Key=self._name(key))["Body"]
            content: bytes = body.read()
            return content

    def delete(self, *keys: str) -> list[str]:
        """One request for up to a thousand: S3 says the same where there was nothing."""
        names = [self._name(key) for key in keys]
        stuck: list[str] = []
        with _faults():
            if len(names) == 1:
                self._client.delete_object(Bucket=self._bucket, Key=names[0])
                return []
            for start in range(0, len(names), AT_ONCE):
                some = [{"Key": name} for name in names[start : start + AT_ONCE]]
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Quiet": True, "Objects": some}
                )
                failed = answer.get("Errors", ())
                if len(failed) == len(some):  # it is not about one of them: a key, a policy, the server
                    raise ClientError({"Error": failed[0]}, "DeleteObjects")
                stuck += [str(entry["Key"]).removeprefix(self._prefix) for entry in failed]
        return stuck

    def list_keys(self, prefix: str = "") -> Iterator[str]:
        """Page by page, in lexical order, as the server gives them."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with _faults():
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield str(entry["Key"]).removeprefix(self._prefix)

    def check(self) -> None:
        """Raises StorageFault unless a write succeeds; InsecureConfiguration where it is guarded."""
        self._guard()
        probe = f"{self._prefix}checks/{secrets.token_hex(8)}"
        with _faults():
            self._client.put_object(Bucket=self._bucket, Key=probe, Body=b"ok")
            self._client.delete_object(Bucket=self._bucket, Key=probe)

    def refuse_if_public(self) -> None:
        """Raises InsecureConfiguration when the bucket can be listed without a key; StorageUnavailable."""
        config = Config(**{**self._options, "signature_version": UNSIGNED})
        stranger = boto3.client("s3", **self._place, config=config)
        try:
            stranger.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
        except ClientError as fault:
            if fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) >= 500:
                raise _unavailable() from fault  # it has not said no
            self._unchecked = False
            return
        except BotoCoreError as fault:
            raise _unavailable() from fault
        raise InsecureConfiguration(
            f"anybody can list the bucket {self._bucket}",
            next_step="Block public access to the bucket.",
        )

    def _guard(self) -> None:
        if self._unchecked:  # it did not answer at the start
            self.refuse_if_public()

    def _name(self, key: str) -> str:
        check_key(key)
        return self._prefix + key


def _code(fault: ClientError) -> str:
    return str(fault.response.get("Error", {}).get("Code", ""))


def _unavailable() -> StorageUnavailable:
    return StorageUnavailable(
        "the object store does not answer", next_step="Send the request again; look at the object store."
    )


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except ClientError as fault:
        code = _code(fault)
        if code in _MISSING:
            raise NotFound("there is no such object") from None
        if code in _DENIED:
            raise StorageRefused(
                f"the object store refuses the service ({code})",
                next_step="Check bucket, keys and policy: RECON_OBJECT_STORE, RECON_S3_ACCESS_KEY.",
            ) from fault
        raise _unavailable() from fault
    except (BotoCoreError, OSError) as fault:
        raise _unavailable() from fault
