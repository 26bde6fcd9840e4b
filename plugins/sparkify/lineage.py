"""Lineage of the stage, load and publish tasks, for Airflow's OpenLineage provider.

The provider asks an operator for it after each successful task, where it is installed and a transport is
configured (`[openlineage] transport`); without it nothing here is imported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkify.work import SUFFIX

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from sparkify.warehouse import Warehouse

RUN = re.compile(rf"__{SUFFIX.pattern}$")


@dataclass(frozen=True)
class S3Folder:
    """The source files of a task: `s3://<bucket>/<prefix>`."""

    bucket: str
    prefix: str
    size_bytes: int


@dataclass(frozen=True)
class Table:
    """A table, by `schema.name`; a run's work table goes by the name that is the same in every run."""

    name: str
    rows: int | None = None

    @property
    def dataset(self) -> str:
        return RUN.sub("", self.name)


@dataclass(frozen=True)
class Lineage:
    """What a task read and wrote."""

    inputs: Sequence[S3Folder | Table] = ()
    outputs: Sequence[Table] = ()

    def facets(self, warehouse: Warehouse) -> OperatorLineage[Any, Any]:
        """In OpenLineage's form, with counts of rows and bytes."""
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import InputDataset, OutputDataset
        from openlineage.client.generated.input_statistics_input_dataset import (
            InputStatisticsInputDatasetFacet,
        )
        from openlineage.client.generated.output_statistics_output_dataset import (
            OutputStatisticsOutputDatasetFacet,
        )

        hook = warehouse.hook
        connection = hook.get_connection(warehouse.redshift_conn_id)
        info = hook.get_openlineage_database_info(connection)
        namespace = f"{info.scheme}://{info.authority}"

        def place(one: S3Folder | Table) -> dict[str, Any]:
            if isinstance(one, S3Folder):
                return {"namespace": f"s3://{one.bucket}", "name": one.prefix.strip("/") or "/"}
            return {"namespace": namespace, "name": f"{connection.schema}.{one.dataset}"}

        def input_facets(one: S3Folder | Table) -> dict[str, Any]:
            size = one.size_bytes if isinstance(one, S3Folder) else None
            rows = one.rows if isinstance(one, Table) else None
            return {"inputStatistics": InputStatisticsInputDatasetFacet(rowCount=rows, size=size)}

        def output_facets(one: Table) -> dict[str, Any]:
            if one.rows is None:
                return {}
            return {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=one.rows)}

        return OperatorLineage(
            inputs=[InputDataset(**place(one), inputFacets=input_facets(one)) for one in self.inputs],
            outputs=[OutputDataset(**place(one), outputFacets=output_facets(one)) for one in self.outputs],
        )
