"""The warehouse on PostgreSQL 15 and later.

`PostgresWarehouse` loads batches, as the role `penstock_loader`; `PostgresSchema` makes the tables, and
`PostgresRebuild` makes them anew, as their owner.
"""

from penstock.adapters.postgres.connection import Limits
from penstock.adapters.postgres.rebuild import PostgresRebuild
from penstock.adapters.postgres.schema import PostgresSchema
from penstock.adapters.postgres.warehouse import PostgresWarehouse

__all__ = ["Limits", "PostgresRebuild", "PostgresSchema", "PostgresWarehouse"]
