"""November 2018, as the sample has it and as the public dataset does: files by key."""

from __future__ import annotations

import json
import tarfile
from datetime import date
from pathlib import Path
from typing import Any

from local.sample_data import Sample, SampleSpec
from local_redshift import LocalRedshift
from tests.support.warehouse import Pipeline, new_buckets

NOVEMBER = ("2018-11-01 00:00", "2018-12-01 00:00")


def sample_month() -> dict[str, bytes]:
    """The sample that ends on 30 November: 300 songs, 7,500 events of 100 users."""
    return dict(Sample(SampleSpec(end=date(2018, 11, 30))).objects())


#: The files that the public dataset comes in.
DATASET = ("log_data.tar.gz", "song_data.tar.gz", "log_json_path.json")


def unpack(source: Path, folder: Path) -> None:
    """Unpack the public dataset from one folder into another."""
    for name in DATASET:
        if name.endswith(".tar.gz"):
            with tarfile.open(source / name) as archive:
                archive.extractall(folder, filter="data")
        else:
            (folder / name).write_bytes((source / name).read_bytes())


def dataset_month(folder: Path) -> dict[str, bytes]:
    """The public dataset: 14,896 songs, 8,056 events of 97 users.

    :param folder: with log_data/ and song_data/.
    """
    logs = {f"log_data/2018/11/{path.name}": path.read_bytes() for path in folder.rglob("*-events.json")}
    songs = (folder / "song_data").rglob("*.json")
    return logs | {path.relative_to(folder).as_posix(): path.read_bytes() for path in songs}


def published(redshift: LocalRedshift, s3_client: Any, files: dict[str, bytes]) -> Pipeline:
    """A pipeline that has published these files of the month, and nothing else."""
    pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
    pipeline.create_schema(drop_existing=True, confirm_drop="DROP sparkify")
    pipeline.put_month(files)
    pipeline.load(*NOVEMBER)
    return pipeline


def rows(files: dict[str, bytes], folder: str) -> list[dict[str, Any]]:
    """The rows of the files in `log_data` or `song_data`."""
    bodies = (body for key, body in sorted(files.items()) if key.startswith(f"{folder}/"))
    return [json.loads(line) for body in bodies for line in body.splitlines() if line.strip()]
