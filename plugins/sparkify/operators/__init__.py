"""The pipeline's operators."""

from sparkify.operators.load import LoadDimensionOperator, LoadFactOperator
from sparkify.operators.publish import PublishOperator
from sparkify.operators.quality import DataQualityOperator
from sparkify.operators.schema import SchemaOperator
from sparkify.operators.stage import StageToRedshiftOperator

__all__ = [
    "DataQualityOperator",
    "LoadDimensionOperator",
    "LoadFactOperator",
    "PublishOperator",
    "SchemaOperator",
    "StageToRedshiftOperator",
]
