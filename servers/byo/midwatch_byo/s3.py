"""Objects in an S3 bucket, of Amazon or of anyone who speaks the same protocol. Lists and fetches, never writes.

An object is immutable under its ETag: it is fetched with `If-Match`, so what is read is what was listed, or nothing.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from midwatch_byo.places import StoredObject, changed
from midwatch_kit import aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SECONDS: Final = 20.0
_MAY_LIST: Final = "s3:ListBucket on the bucket"
_MAY_FETCH: Final = "s3:GetObject below the prefix"
_GONE: Final = ("412", "404", "PreconditionFailed", "NoSuchKey")


class Bucket:
    """A prefix of a bucket; credentials come from where boto3 looks for them (environment, profile, role)."""

    def __init__(self, source: str, bucket: str, prefix: str, endpoint: str | None, region: str | None) -> None:
        self._source = source
        self._bucket = bucket
        self._prefix = prefix
        self._in_words = partial(
            aws.in_words,
            f"s3://{bucket}/{prefix}",
            missing="there is no such bucket: correct the location in the mapping",
        )
        self._client: S3Client = aws.session(region).client(
            "s3", endpoint_url=endpoint, config=aws.patience(_SECONDS, attempts=3)
        )

    def children(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder."""
        prefix = self._prefix + folder
        with self._in_words(_MAY_LIST):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, Delimiter="/"
            )
            found = [common["Prefix"] for page in pages for common in page.get("CommonPrefixes", [])]
        return [name.removeprefix(prefix).rstrip("/") for name in found]

    def objects(self, folder: str) -> Iterator[StoredObject]:
        """Yield every object below a folder."""
        with self._in_words(_MAY_LIST):
            paginator = self._client.get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self._bucket, Prefix=self._prefix + folder):
                for listed in page.get("Contents", []):
                    yield StoredObject(
                        self._source,
                        listed["Key"].removeprefix(self._prefix),
                        listed["Size"],
                        listed["ETag"].strip('"'),
                        listed["LastModified"].timestamp(),
                    )

    def fetch(self, wanted: StoredObject, target: Path) -> None:
        """Copy an object to a file; raises `BadInput` when its ETag is no longer the listed one."""
        with self._in_words(_MAY_FETCH), target.open("wb") as copy:
            try:
                answer = self._client.get_object(
                    Bucket=self._bucket, Key=self._prefix + wanted.key, IfMatch=f'"{wanted.tag}"'
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _GONE:
                    raise changed(wanted) from None
                raise
            for block in answer["Body"].iter_chunks(2**20):
                copy.write(block)
