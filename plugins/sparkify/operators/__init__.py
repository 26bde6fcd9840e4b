"""The pipeline's operators."""

from sparkify.operators.land import StageLogsToRedshiftOperator
from sparkify.operators.load import LoadDimensionOperator, LoadFactOperator
from sparkify.operators.maintenance import DropOldWorkOperator, PurgeLandedEventsOperator
from sparkify.operators.publish import PublishOperator
from sparkify.operators.quality import DataQualityOperator
from sparkify.operators.reconcile import (
    FindChangedDaysOperator,
    FindHoursLeftOperator,
    ReportChangesOperator,
)
from sparkify.operators.report import ReportOperator
from sparkify.operators.schema import RebuildOperator, SchemaOperator
from sparkify.operators.stage import StageToRedshiftOperator
from sparkify.operators.sweep import SweepSongsOperator

__all__ = [
    "DataQualityOperator",
    "DropOldWorkOperator",
    "FindChangedDaysOperator",
    "FindHoursLeftOperator",
    "LoadDimensionOperator",
    "LoadFactOperator",
    "PublishOperator",
    "PurgeLandedEventsOperator",
    "RebuildOperator",
    "ReportChangesOperator",
    "ReportOperator",
    "SchemaOperator",
    "StageLogsToRedshiftOperator",
    "StageToRedshiftOperator",
    "SweepSongsOperator",
]
