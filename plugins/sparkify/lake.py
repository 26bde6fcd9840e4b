"""The lake: listing source files on S3 and writing a run's own objects (manifests, JSONPaths) beside them."""

from __future__ import annotations

import bz2
import hashlib
import json
import sys
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk.exceptions import AirflowException

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    Decompressor = zlib._Decompress | bz2.BZ2Decompressor | zstd.ZstdDecompressor


#: How much of an object is in memory where it is read in parts.
CHUNK_BYTES = 1024 * 1024
#: How much a decompressor is given at once: what it does not take is copied each time.
FEED_BYTES = 4 * 1024


class LakeError(AirflowException):
    """S3 refused a request or could not be reached."""


@dataclass(frozen=True)
class SourceFile:
    """One S3 object that holds source rows.

    :param etag: as S3 gives it, without quotes; it changes when the bytes change.
    :param size_bytes: size of the object as stored.
    :param last_modified: `YYYY-MM-DD HH:MI:SS`, UTC.
    """

    object_key: str
    etag: str
    size_bytes: int
    last_modified: str


class Line(NamedTuple):
    """A line of an object.

    :param head: how it begins.
    :param length: how many bytes it has, the newline left out.
    """

    head: bytes
    length: int


class Lake:
    """S3 behind an Airflow connection.

    :param aws_conn_id: an Airflow connection of type `aws`.
    """

    def __init__(self, aws_conn_id: str = "aws_default") -> None:
        self.aws_conn_id = aws_conn_id

    @cached_property
    def client(self) -> Any:
        return self.hook.get_conn()

    @cached_property
    def hook(self) -> S3Hook:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self.aws_conn_id)

    def list_files(self, bucket: str, prefixes: Iterable[str]) -> Iterator[SourceFile]:
        """The objects whose keys begin with one of the prefixes, in order of key within each prefix.

        Keys that end with a slash, which consoles write to show an empty folder, are passed over.

        :raises LakeError: where the bucket is missing or access is denied.
        """
        for prefix in prefixes:
            try:
                pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
                for page in pages:
                    for entry in page.get("Contents", ()):
                        if not entry["Key"].endswith("/"):
                            yield SourceFile(
                                entry["Key"],
                                entry["ETag"].strip('"'),
                                entry["Size"],
                                f"{entry['LastModified']:%Y-%m-%d %H:%M:%S}",
                            )
            except Exception as error:
                raise self._explained(error, f"list s3://{bucket}/{prefix}") from error

    def read(self, bucket: str, key: str, size: int) -> bytes:
        """An object's first bytes.

        :param size: at most so many.
        :raises LakeError: where the object is missing or access is denied.
        """
        try:
            with closing(self.client.get_object(Bucket=bucket, Key=key)["Body"]) as stream:
                body: bytes = stream.read(size)
        except Exception as error:
            raise self._explained(error, f"read s3://{bucket}/{key}") from error
        return body

    def chunks(self, bucket: str, key: str, start: int = 0) -> Iterator[bytes]:
        """An object's bytes in parts of about a megabyte, without reading it all into memory.

        :param start: the byte to begin at; the line that it is in is left out.
        :raises LakeError: as `read`.
        """
        part = {"Range": f"bytes={start}-"} if start else {}
        within_line = bool(start)
        try:
            with closing(self.client.get_object(Bucket=bucket, Key=key, **part)["Body"]) as body:
                for chunk in body.iter_chunks(CHUNK_BYTES):
                    if within_line:
                        _, newline, chunk = chunk.partition(b"\n")
                        within_line = not newline
                    yield chunk
        except Exception as error:
            raise self._explained(error, f"read s3://{bucket}/{key}") from error

    def check_readable(self, bucket: str, key: str) -> None:
        """Whether `read` is allowed to, without reading.

        :raises LakeError: as `read`.
        """
        try:
            self.client.head_object(Bucket=bucket, Key=key)
        except Exception as error:
            raise self._explained(error, f"read s3://{bucket}/{key}") from error

    def file(self, bucket: str, key: str) -> SourceFile | None:
        """The object as it is now; None where there is none.

        :raises LakeError: where access is denied.
        """
        try:
            head = self.client.head_object(Bucket=bucket, Key=key)
        except Exception as error:
            # S3 answers a HEAD without a body, so without a name for what is missing.
            if getattr(error, "response", {}).get("Error", {}).get("Code") in ("404", "NoSuchKey"):
                return None
            raise self._explained(error, f"read s3://{bucket}/{key}") from error
        return SourceFile(
            key,
            head["ETag"].strip('"'),
            head["ContentLength"],
            f"{head['LastModified']:%Y-%m-%d %H:%M:%S}",
        )

    def lines(self, bucket: str, key: str, numbers: Collection[int], size: int) -> dict[int, Line]:
        """Some lines of an object, by their number from 1, in memory no more than the beginning of each.

        A line ends with a newline, as COPY counts them, and with nothing else.

        :param size: at most so many bytes of each line.
        :raises LakeError: as `read`.
        """
        found = dict.fromkeys(numbers, Line(b"", 0))
        number, last = 1, max(numbers)
        try:
            with closing(self.client.get_object(Bucket=bucket, Key=key)["Body"]) as body:
                for chunk in body.iter_chunks(CHUNK_BYTES):
                    for place, part in enumerate(chunk.split(b"\n")):
                        number += place > 0
                        if number in found:
                            head, length = found[number]
                            found[number] = Line(head + part[: size - len(head)], length + len(part))
                    if number > last:
                        break
        except Exception as error:
            raise self._explained(error, f"read s3://{bucket}/{key}") from error
        return {number: line for number, line in found.items() if line.length}

    def write(self, bucket: str, key: str, body: bytes) -> str:
        """Put an object; returns its `s3://` URI."""
        uri = f"s3://{bucket}/{key}"
        try:
            self.client.put_object(Bucket=bucket, Key=key, Body=body)
        except Exception as error:
            raise self._explained(error, f"write {uri}") from error
        return uri

    def delete(self, bucket: str, prefix: str) -> int:
        """Delete the objects whose keys begin with the prefix; returns how many there were."""
        try:
            keys = [file.object_key for file in self.list_files(bucket, [prefix])]
            if keys:
                self.hook.delete_objects(bucket=bucket, keys=keys)
        except LakeError:
            raise
        except Exception as error:
            raise self._explained(error, f"delete s3://{bucket}/{prefix}*") from error
        return len(keys)

    def _explained(self, error: Exception, action: str) -> LakeError:
        return LakeError(
            f"Cannot {action} through Airflow connection {self.aws_conn_id!r}: {error}.\nCheck the bucket's "
            f"name in the Airflow Variables, the connection's credentials and S3 policy, and that S3 can be "
            f"reached."
        )


class CompressionError(ValueError):
    """The bytes are compressed in a way that cannot be undone here, or damaged."""


def decompressed(chunks: Iterable[bytes], compression: str) -> Iterator[bytes]:
    """The text of a file, in parts of at most about a megabyte.

    :param compression: COPY's option, `GZIP`, `BZIP2` or `ZSTD`; empty for none.
    :raises CompressionError: for another one, and where the file is none of that kind or ends too early.
    """
    if not compression:
        yield from chunks
        return
    makers: dict[str, Callable[[], Decompressor]] = {
        "GZIP": lambda: zlib.decompressobj(wbits=31),
        "BZIP2": bz2.BZ2Decompressor,
        "ZSTD": zstd.ZstdDecompressor,
    }
    if compression not in makers:
        raise CompressionError(f"the worker cannot decompress {compression}")
    member: Decompressor | None = None
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), FEED_BYTES):
                rest = chunk[start : start + FEED_BYTES]
                while rest:
                    if member is None or member.eof:
                        member = makers[compression]()
                    yield member.decompress(rest, CHUNK_BYTES)
                    while not member.eof and (waiting := _waiting(member)) is not None:
                        yield member.decompress(waiting, CHUNK_BYTES)
                    rest = member.unused_data if member.eof else b""
    except (zlib.error, zstd.ZstdError, OSError) as error:
        raise CompressionError(f"the file is not {compression}: {error}") from error
    if member is not None and not member.eof:
        raise CompressionError(f"the {compression} file is truncated")


def _waiting(member: Decompressor) -> bytes | None:
    """What a decompressor still has to decompress; None where it waits for more."""
    if isinstance(member, (bz2.BZ2Decompressor, zstd.ZstdDecompressor)):
        return None if member.needs_input else b""
    return member.unconsumed_tail or None


def folder(prefix: str) -> str:
    """A key prefix that ends with a slash, or the empty one."""
    return f"{prefix.strip('/')}/".lstrip("/")


def manifest(bucket: str, files: Iterable[SourceFile]) -> bytes:
    """A COPY manifest that names each file once and lets none be missing.

    Redshift Database Developer Guide, "Using a manifest to specify data files".
    """
    entries = [{"url": f"s3://{bucket}/{file.object_key}", "mandatory": True} for file in files]
    return json.dumps({"entries": entries}).encode()


def files_digest(files: Mapping[str, str]) -> str:
    """What tells files from what they were: it changes with any key or ETag.

    :param files: key to ETag.
    """
    lines = sorted(f"{key} {etag}\n" for key, etag in files.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_rows(listed_at: datetime, files: Iterable[SourceFile]) -> Iterator[dict[str, Any]]:
    """One row a file, for the ledger.

    :param listed_at: when the listing began, UTC.
    """
    for file in files:
        yield {"listed_at": _timestamp(listed_at), **asdict(file)}


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Newline-delimited JSON, for COPY with JSON 'auto'."""
    return "\n".join(map(json.dumps, rows)).encode()


def _timestamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"
