"""A stand-in for the Redshift Data API: boto3's own calls, and their statements run on PostgreSQL.

docs/redshift.md says what it does not imitate.
"""

from penstock.local.redshift.server import DataApiServer
from penstock.local.redshift.statements import Statements, prepare

__all__ = ["DataApiServer", "Statements", "prepare"]
