"""Local Redshift: a stand-in of an Amazon Redshift cluster for laptops and CI. See README.md."""

from local_redshift.process import LocalRedshift

__all__ = ["LocalRedshift"]
