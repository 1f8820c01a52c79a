"""The warehouse on Amazon Redshift, Serverless or provisioned, by its Data API: no connection and no password of ours.

`RedshiftWarehouse` loads batches; `RedshiftSchema` makes the tables, as their owner;
`RedshiftViewSchema` and `RedshiftViews` make and rebuild what is made of them.
"""

from penstock.adapters.redshift.data_api import DataApi, Endpoint
from penstock.adapters.redshift.rebuild import RedshiftRebuild
from penstock.adapters.redshift.schema import RedshiftSchema
from penstock.adapters.redshift.views import RedshiftViews, RedshiftViewSchema
from penstock.adapters.redshift.warehouse import RedshiftWarehouse

__all__ = [
    "DataApi",
    "Endpoint",
    "RedshiftRebuild",
    "RedshiftSchema",
    "RedshiftViewSchema",
    "RedshiftViews",
    "RedshiftWarehouse",
]
