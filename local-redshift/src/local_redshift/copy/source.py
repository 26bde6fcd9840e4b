"""What a COPY reads from S3: the objects under a byte-wise prefix or of a manifest, and their bytes."""

from __future__ import annotations

import asyncio
import bz2
import json
import re
import sys
import zlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import obstore
from obstore.store import S3Store

from local_redshift.errors import RedshiftError, internal_error_detail

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import S3Config

    from local_redshift.sql.copy_grammar import CopyCommand, Credentials

#: Objects asked for at once. More does not help a server on the same two cores.
CONCURRENT_GETS = 16
CHUNK = 1 << 17
#: What is decompressed at once: what a member leaves over is copied each time.
FEED = 1 << 12

S3_ADDRESS = re.compile(r"s3://([^/]+)/?(.*)", re.DOTALL)


@dataclass(frozen=True)
class S3Object:
    bucket: str
    key: str
    #: Whether its absence fails the load; of a manifest's entries, only where it says so.
    mandatory: bool = True

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


#: An object, some of its bytes, and whether they are its last.
Part = tuple[S3Object, bytes, bool]


@dataclass(frozen=True)
class S3Endpoint:
    """The S3 that the stand-in reads, and the credentials that IAM_ROLE stands for."""

    url: str
    region: str
    access_key: str
    secret_key: str


def s3_error(text: str, context: str, query: int, location: str = "s3_utility.cpp:568") -> RedshiftError:
    return RedshiftError(text, detail=internal_error_detail(text, 8001, context, query, location))


def split_address(address: str) -> tuple[str, str]:
    match = S3_ADDRESS.fullmatch(address)
    if match is None:
        raise RedshiftError(f"Invalid S3 path '{address}'", hint="An address looks like s3://bucket/prefix.")
    return match[1], match[2]


class S3Source:
    """Reads for one COPY, with that COPY's credentials."""

    def __init__(self, endpoint: S3Endpoint, credentials: Credentials, region: str | None, query: int):
        self.endpoint = endpoint
        self.credentials = credentials
        self.query = query
        self._stores: dict[str, S3Store] = {}
        if region is not None and region != endpoint.region:
            raise s3_error(
                "S3ServiceException:The bucket you are attempting to access must be addressed using "
                "the specified endpoint. Please send all future requests to this endpoint.,"
                "Status 301,Error PermanentRedirect",
                f"REGION '{region}', and the bucket is in {endpoint.region}",
                query,
            )

    def _store(self, bucket: str) -> S3Store:
        if bucket not in self._stores:
            keys = self.credentials
            config: S3Config = {
                "endpoint": self.endpoint.url,
                "region": self.endpoint.region,
                "access_key_id": keys.access_key or self.endpoint.access_key,
                "secret_access_key": keys.secret_key or self.endpoint.secret_key,
                "virtual_hosted_style_request": False,
            }
            if keys.token:
                config["session_token"] = keys.token
            self._stores[bucket] = S3Store(
                bucket,
                config=config,
                client_options={
                    "allow_http": True,
                    "timeout": "60s",
                    # Else a store reads the certificates of all authorities, which takes long.
                    "allow_invalid_certificates": self.endpoint.url.startswith("http://"),
                },
                retry_config={"max_retries": 3},
            )
        return self._stores[bucket]

    async def objects(self, command: CopyCommand) -> list[S3Object]:
        """The objects to load. None at all is an error, as on Redshift."""
        if command.manifest:
            return await self._manifest(command.source)
        bucket, prefix = split_address(command.source)
        found = await self._list(bucket, prefix)
        if not found:
            raise s3_error(f"The specified S3 prefix '{prefix}' does not exist", "", self.query)
        return found

    async def _list(self, bucket: str, prefix: str) -> list[S3Object]:
        """Keys that begin with the prefix, byte by byte; the store itself lists whole folders."""
        folder = prefix.rpartition("/")[0]
        found = []
        try:
            async for batch in obstore.list(self._store(bucket), prefix=folder or None, chunk_size=1000):
                found += [
                    S3Object(bucket, entry["path"]) for entry in batch if entry["path"].startswith(prefix)
                ]
        except Exception as error:
            raise self._failure(error, f"S3 prefix being listed : s3://{bucket}/{prefix}") from error
        return sorted(found, key=lambda item: item.key)

    async def _manifest(self, address: str) -> list[S3Object]:
        bucket, key = split_address(address)
        if not key or key.endswith("/"):
            text = "COPY with MANIFEST parameter requires full path of an S3 object"
            raise s3_error(text, address, self.query)
        try:
            body = await self.read_small(bucket, key)
        except RedshiftError as error:
            raise s3_error(f"Problem reading manifest file - {error.text}", address, self.query) from error
        try:
            entries = json.loads(body)["entries"]
            listed = [
                (*split_address(entry["url"]), bool(entry.get("mandatory", False))) for entry in entries
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, RedshiftError) as error:
            raise s3_error("Manifest file is not in correct json format", address, self.query) from error
        if not listed:
            raise self._no_files(address)
        return [S3Object(*entry) for entry in listed]

    def _no_files(self, context: str) -> RedshiftError:
        return s3_error("No files found in manifest", context, self.query)

    async def read_small(self, bucket: str, key: str) -> bytes:
        """A whole object: a manifest or a jsonpaths file."""
        try:
            response = await obstore.get_async(self._store(bucket), key)
            return bytes(await response.bytes_async())
        except FileNotFoundError as error:
            raise self._missing(f"S3 key being read : s3://{bucket}/{key}") from error
        except Exception as error:
            raise self._failure(error, f"S3 key being read : s3://{bucket}/{key}") from error

    async def chunks(self, objects: list[S3Object], compression: str) -> AsyncGenerator[Part, None]:
        """The parts of each object in turn.

        Small objects are read ahead, several at once; a big one is streamed. A missing object that is not
        mandatory is left out, but not all of them can be.
        """
        ahead: deque[tuple[S3Object, asyncio.Task[GetResult | bytes | None]]] = deque()
        waiting = iter(objects)
        found = False

        def fill() -> None:
            while len(ahead) < CONCURRENT_GETS and (item := next(waiting, None)) is not None:
                ahead.append((item, asyncio.create_task(self._open(item))))

        try:
            fill()
            while ahead:
                item, task = ahead.popleft()
                body = await task
                fill()
                if body is None:
                    continue
                found = True
                if isinstance(body, bytes) and not compression:
                    yield item, body, True
                    continue
                async for chunk, last in self._stream(item, body, compression):
                    yield item, chunk, last
            if not found:
                raise self._no_files("")
        finally:
            for _, task in ahead:
                task.cancel()
            await asyncio.gather(*(task for _, task in ahead), return_exceptions=True)

    async def _open(self, item: S3Object) -> GetResult | bytes | None:
        """The whole body of a small object, the response of a big one, None for a missing optional one."""
        context = f"S3 key being read : {item.url}"
        try:
            response = await obstore.get_async(self._store(item.bucket), item.key)
            if response.meta["size"] > CHUNK:
                return response
            return bytes(await response.bytes_async())
        except FileNotFoundError as error:
            if not item.mandatory:
                return None
            raise self._missing(context) from error
        except Exception as error:
            raise self._failure(error, context) from error

    async def _stream(
        self, item: S3Object, body: GetResult | bytes, compression: str
    ) -> AsyncIterator[tuple[bytes, bool]]:
        members = Members(compression)
        try:
            async for chunk in _chunks(body):
                if not compression:
                    yield chunk, False
                    continue
                for piece in members.feed(chunk):
                    yield piece, False
        except DamagedError as error:
            raise self._damaged(item, compression) from error
        except RedshiftError:
            raise
        except GeneratorExit:
            raise
        except Exception as error:
            raise self._failure(error, f"S3 key being read : {item.url}") from error
        if not members.are_whole:
            raise self._damaged(item, compression)
        yield b"", True

    def _damaged(self, item: S3Object, compression: str) -> RedshiftError:
        code = "zlib error code: -3, " if compression == "GZIP" else ""
        return s3_error(f"{code}Failed to decompress file as {compression}", item.url, self.query)

    def _missing(self, context: str) -> RedshiftError:
        return s3_error(
            "S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey,"
            "Rid 0,ExtRid 0,CanRetry 1",
            context,
            self.query,
        )

    def _failure(self, error: Exception, context: str) -> RedshiftError:
        """Redshift's words for what the store answered."""
        text = str(error)
        for code, status, words in S3_ERRORS:
            if f"<Code>{code}</Code>" in text:
                return s3_error(
                    f"S3ServiceException:{words},Status {status},Error {code}", context, self.query
                )
        if isinstance(error, PermissionError) or "403" in text:
            return s3_error(
                "S3ServiceException:Access Denied,Status 403,Error AccessDenied", context, self.query
            )
        summary = " ".join(text.split())[:300]
        return s3_error(f"S3ServiceException:{summary}", context, self.query)


#: What decompresses a member of a file; some keep bytes themselves that they have not decompressed yet.
MEMBERS: dict[str, Callable[[], zlib._Decompress | bz2.BZ2Decompressor | zstd.ZstdDecompressor]] = {
    "GZIP": lambda: zlib.decompressobj(31),
    "BZIP2": bz2.BZ2Decompressor,
    "ZSTD": zstd.ZstdDecompressor,
}
KEEPING = (bz2.BZ2Decompressor, zstd.ZstdDecompressor)


class DamagedError(Exception):
    """A file is not compressed as COPY was told."""


class Members:
    """The text of a compressed file's members, in parts, however much a part of the file holds of it.

    :param compression: `GZIP`, `BZIP2` or `ZSTD`.
    """

    def __init__(self, compression: str) -> None:
        self._compression = compression
        self._member: zlib._Decompress | bz2.BZ2Decompressor | zstd.ZstdDecompressor | None = None

    @property
    def are_whole(self) -> bool:
        """Whether the file may end here; an empty one has no member at all."""
        return self._member is None or self._member.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The text of the file's next bytes.

        :raises DamagedError: where they are none of that compression.
        """
        for start in range(0, len(data), FEED):
            rest: bytes | None = data[start : start + FEED]
            while rest is not None and (rest or self._has_more):
                if self._member is None or self._member.eof:
                    self._member = MEMBERS[self._compression]()
                try:
                    piece = self._member.decompress(rest, CHUNK)
                except (zlib.error, zstd.ZstdError, OSError) as error:
                    raise DamagedError from error
                if piece:
                    yield piece
                if self._member.eof:
                    rest = self._member.unused_data
                else:
                    rest = b"" if isinstance(self._member, KEEPING) else self._member.unconsumed_tail

    @property
    def _has_more(self) -> bool:
        """Whether the member has text without further bytes."""
        return isinstance(self._member, KEEPING) and not self._member.eof and not self._member.needs_input


async def _chunks(body: GetResult | bytes) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    async for chunk in body.stream(min_chunk_size=CHUNK):
        yield bytes(chunk)


S3_ERRORS = (
    ("NoSuchBucket", 404, "The specified bucket does not exist"),
    ("NoSuchKey", 404, "The specified key does not exist."),
    ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
    (
        "SignatureDoesNotMatch",
        403,
        (
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        ),
    ),
    ("AccessDenied", 403, "Access Denied"),
)
