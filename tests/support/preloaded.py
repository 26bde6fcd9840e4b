"""What the server that task processes are forked from loads, once for all of them."""

from __future__ import annotations

from functools import cache

import airflow.providers.amazon.aws.hooks.redshift_sql
import airflow.providers.amazon.aws.hooks.s3  # noqa: F401
import botocore.session

from tests.support.pipeline import load_dag

load_dag("sparkify")
# Megabytes of JSON that each session of botocore reads anew.
botocore.session.create_loader = cache(botocore.session.create_loader)
botocore.session.Session().create_client("s3", "us-west-2")
