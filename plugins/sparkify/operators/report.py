"""ReportOperator: the answers as one HTML file on S3, for those without access to Airflow."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator

from sparkify.lake import Lake
from sparkify.warehouse import Warehouse

log = logging.getLogger(__name__)

KEY = "reports/sparkify.html"


class ReportOperator(BaseOperator):
    """Ask the analysts' questions of the last days and write the answers as `<prefix>/reports/sparkify.html`.

    :param days: how many days, that end with the latest play.
    :param bucket: where the file is written to; it takes the place of the one before.
    :param prefix: key prefix; may be empty.
    :param redshift_conn_id: an Airflow connection of type `redshift`; nothing is written through it.
    :param aws_conn_id: an Airflow connection of type `aws`.
    :returns: (XCom) the file's `s3://` URI.
    """

    template_fields: Sequence[str] = ("days", "bucket", "prefix", "redshift_conn_id", "aws_conn_id")
    ui_color = "#e4f0f6"

    def __init__(
        self,
        *,
        days: int | str,
        bucket: str,
        prefix: str = "",
        redshift_conn_id: str = "redshift_default",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.days = days
        self.bucket = bucket
        self.prefix = prefix
        self.redshift_conn_id = redshift_conn_id
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Mapping[str, Any]) -> str:
        from sparkify.report import report

        html = report(Warehouse(self.redshift_conn_id), days=int(self.days)).encode()
        key = "/".join(part for part in (self.prefix.strip("/"), KEY) if part)
        uri = Lake(self.aws_conn_id).write(self.bucket, key, html)
        log.info("Done: bytes=%d file=%s", len(html), uri)
        return uri
