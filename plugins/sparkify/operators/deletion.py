"""DeleteClusterOperator: the Amazon provider's, of which a run chooses the final snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.providers.amazon.aws.operators.redshift_cluster import RedshiftDeleteClusterOperator


class DeleteClusterOperator(RedshiftDeleteClusterOperator):
    """RedshiftDeleteClusterOperator with templates for whether a final snapshot is taken, and its name."""

    template_fields: Sequence[str] = (
        *RedshiftDeleteClusterOperator.template_fields,
        "skip_final_cluster_snapshot",
        "final_cluster_snapshot_identifier",
    )
