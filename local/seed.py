"""Put source files into the local lake through its S3 endpoint, skipping what is there already."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import obstore
from obstore.store import S3Store
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local.sample_data import LogFile, Sample
from local.settings import BUCKET, LOG_PREFIX, REGION, SONG_PREFIX, Settings

# 4 requests at a time put 2,400 small objects a second on two cores, 16 put 3,700, 64 no more than that.
CONCURRENCY = 16
# Objects that the threads are given together: a million would be a gigabyte of futures.
AT_ONCE = 1000

# The dataset's own column mapping lies beside its folders; the Variable sparkify_log_json_path can name it.
JSONPATHS_FILE = "log_json_path.json"
# Says when a sample ended that goes on.
SAMPLE_KEY = "sample.json"


class SeedError(Exception):
    """The folder to seed from is not one; the message says what is expected."""


@dataclass(frozen=True)
class Seeded:
    """What a seeding did: counts of objects, and seconds."""

    uploaded: int
    unchanged: int
    seconds: float

    def __str__(self) -> str:
        if not self.uploaded:
            return f"{self.unchanged:,} objects, all of them already there"
        rest = f", {self.unchanged:,} already there" if self.unchanged else ""
        return f"{self.uploaded:,} objects uploaded{rest} ({self.uploaded / self.seconds:,.0f} per second)"


@dataclass(frozen=True)
class Source:
    """One object to be: its key in the bucket and its content, in memory or in a file."""

    key: str
    content: bytes | Path

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    def md5(self) -> str:
        if isinstance(self.content, bytes):
            return hashlib.md5(self.content, usedforsecurity=False).hexdigest()
        with self.content.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def seed_folder(settings: Settings, folder: Path, console: Console | None = None) -> Seeded:
    """Upload `folder`, which holds log_data/ and song_data/."""
    return _upload(settings, folder_sources(folder), console)


def seed_sample(settings: Settings, sample: Sample, console: Console | None = None) -> Seeded:
    """Upload the sample as it is at its end."""
    return _upload(settings, [Source(key, content) for key, content in sample.objects()], console)


def complete_sample(settings: Settings, sample: Sample, until: datetime) -> Seeded:
    """Upload what is missing of the sample, as it is at its end, into a lake that holds nothing else.

    :param until: a lake in which the sample goes on holds at most what it holds then.
    :raises SeedError: where the lake holds other data, some of it perhaps under the same keys.
    """
    sources = [Source(key, content) for key, content in sample.objects()]
    expected = {source.key: source.md5() for source in sources}
    logs = {log.key: log for log in sample.log_files(until)}
    present = present_objects(lake_store(settings))
    for key, (_, etag) in present.items():
        known = key == SAMPLE_KEY or etag == expected.get(key)
        if not known and not (key in logs and is_version(logs[key], etag, until)):
            raise SeedError(
                f"The lake holds data other than the sample that ends on {sample.spec.end}, such as "
                f"{BUCKET}/{key}. The demo would overwrite part of it.\nLoad your data with "
                "`python -m local load`, or delete it with `make clean`."
            )
    seeded = _upload(settings, [source for source in sources if source.key not in present], None)
    return replace(seeded, unchanged=len(sources) - seeded.uploaded)


def is_version(log: LogFile, etag: str, until: datetime) -> bool:
    """Whether that is a file of the sample, as it is then or was before."""
    return any(Source(log.key, content).md5() == etag for content in log.versions(until))


def folder_sources(folder: Path) -> list[Source]:
    """List what `folder` holds for the lake, in order of key; hidden files are left out."""
    if not folder.is_dir():
        raise SeedError(f"{folder} is not a folder. Give one that contains {LOG_PREFIX}/ and {SONG_PREFIX}/.")
    parts = [folder / prefix for prefix in (LOG_PREFIX, SONG_PREFIX) if (folder / prefix).is_dir()]
    if not parts:
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:5])
        raise SeedError(
            f"{folder} contains neither {LOG_PREFIX}/ nor {SONG_PREFIX}/; it "
            f"{f'contains {found}' if found else 'is empty'}.\n"
            "Give the folder above those two; if they are in an archive, unpack it first."
        )
    files = [path for part in parts for path in part.rglob("*")]
    files.append(folder / JSONPATHS_FILE)
    sources = [
        Source(path.relative_to(folder).as_posix(), path)
        for path in sorted(files)
        if path.is_file() and not any(name.startswith(".") for name in path.relative_to(folder).parts)
    ]
    if not sources:
        raise SeedError(f"{folder} contains no file below {LOG_PREFIX}/ or {SONG_PREFIX}/.")
    return sources


def lake_store(settings: Settings) -> S3Store:
    return S3Store(
        BUCKET,
        endpoint=settings.s3_url,
        access_key_id=settings.credentials.aws_access_key_id,
        secret_access_key=settings.credentials.aws_secret_access_key,
        region=REGION,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def present_objects(store: S3Store) -> dict[str, tuple[int, str]]:
    """Key to (size, MD5) of every object in the lake; rclone's ETag is the MD5 of the content."""
    return {
        meta["path"]: (meta["size"], (meta["e_tag"] or "").strip('"'))
        for batch in obstore.list(store)
        for meta in batch
    }


def _upload(settings: Settings, sources: list[Source], console: Console | None) -> Seeded:
    begin = time.monotonic()
    store = lake_store(settings)
    present = present_objects(store)
    with (
        Progress(
            TextColumn("Seeding the lake"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=console is None or not console.is_terminal,
            transient=True,
        ) as progress,
        ThreadPoolExecutor(CONCURRENCY) as threads,
    ):
        bar = progress.add_task("seed", total=len(sources))
        uploaded = 0
        for begun in range(0, len(sources), AT_ONCE):
            some = sources[begun : begun + AT_ONCE]
            for is_new in threads.map(lambda source: _upload_one(store, source, present), some):
                uploaded += is_new
                progress.advance(bar)
    return Seeded(uploaded, len(sources) - uploaded, time.monotonic() - begin)


def _upload_one(store: S3Store, source: Source, present: dict[str, tuple[int, str]]) -> bool:
    """Whether it was not there yet.

    Not `put_async`: its threads may still hold Python objects when the process ends, which aborts it
    (https://github.com/PyO3/pyo3-async-runtimes/issues/40; one in nine ends of a short process did).
    """
    size, etag = present.get(source.key, (None, None))
    if size == source.size and etag == source.md5():
        return False
    obstore.put(store, source.key, source.content)
    return True
