"""Local Redshift: a stand-in for an Amazon Redshift cluster, for laptops and CI. See README.md."""

from local_redshift.cluster import LocalCluster
from local_redshift.process import LocalRedshift

__all__ = ["LocalCluster", "LocalRedshift"]
