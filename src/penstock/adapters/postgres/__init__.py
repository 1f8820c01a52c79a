"""The warehouse on PostgreSQL 15 and later.

As the role `penstock_loader`, `PostgresWarehouse` loads batches and `PostgresViews` rebuilds views. As their owner,
`PostgresSchema` makes the tables, `PostgresViewSchema` the views, and `PostgresRebuild` tables anew. Where there is an
administrator alone, `PostgresRoles` makes both.
"""

from penstock.adapters.postgres.connection import Limits
from penstock.adapters.postgres.rebuild import PostgresRebuild
from penstock.adapters.postgres.roles import PostgresRoles
from penstock.adapters.postgres.schema import PostgresSchema
from penstock.adapters.postgres.views import PostgresViews, PostgresViewSchema
from penstock.adapters.postgres.warehouse import PostgresWarehouse

__all__ = [
    "Limits",
    "PostgresRebuild",
    "PostgresRoles",
    "PostgresSchema",
    "PostgresViewSchema",
    "PostgresViews",
    "PostgresWarehouse",
]
