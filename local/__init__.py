"""The stack of a laptop: stand-ins of AWS, Airflow, sample data, the demo. Production imports none of it."""

import sys
from pathlib import Path

# The local Redshift is a distribution of its own, which a checkout runs from where it lies.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local-redshift" / "src"))
