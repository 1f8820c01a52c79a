"""Where rows and documents go: the warehouse, its admin side and views, and the search index."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from penstock.wiring.environment import client, region, settings
from penstock.wiring.files import datasets, store

if TYPE_CHECKING:
    from penstock.adapters.redshift import DataApi
    from penstock.flows.apply_datasets import Roles, Schema, ViewSchema
    from penstock.flows.rebuild_views import Views
    from penstock.model.views import View
    from penstock.ports import SearchIndex, Warehouse


@cache
def warehouse() -> Warehouse | None:
    """None for a stack without one: its datasets have indexes alone."""
    if settings().warehouse == "none":
        return None
    if settings().warehouse == "redshift":
        from penstock.adapters.redshift import RedshiftWarehouse

        return RedshiftWarehouse(_redshift(), settings().redshift_copy_role, store())
    from penstock.adapters.postgres import Limits, PostgresWarehouse

    return PostgresWarehouse(_warehouse_conninfo, Limits(whole=settings().load_seconds))


@cache
def schema() -> Schema | None:
    """The warehouse's admin side; only `apply_datasets` has the secret of a role that may create tables."""
    if settings().warehouse == "none":
        return None
    if settings().warehouse == "redshift":
        from penstock.adapters.redshift import RedshiftSchema

        return RedshiftSchema(_redshift(), settings().redshift_loader)
    from penstock.adapters.postgres import PostgresSchema

    return PostgresSchema(_warehouse_conninfo)


@cache
def roles() -> Roles | None:
    """Of a database that the stack made, where its administrator makes them; None elsewhere."""
    admin = settings().warehouse_admin
    if not admin:
        return None
    from penstock.adapters.postgres import PostgresRoles

    return PostgresRoles(lambda: _by_iam(admin), _warehouse_conninfo)


@cache
def views() -> Views | None:
    """Those that the datasets' tables are made into."""
    if settings().warehouse == "none":
        return None
    if settings().warehouse == "redshift":
        from penstock.adapters.redshift import RedshiftViews

        return RedshiftViews(_redshift())
    from penstock.adapters.postgres import PostgresViews

    return PostgresViews(_warehouse_conninfo)


@cache
def view_schema() -> ViewSchema | None:
    """As `schema`, of views."""
    if settings().warehouse == "none":
        return None
    if settings().warehouse == "redshift":
        from penstock.adapters.redshift import RedshiftViewSchema

        return RedshiftViewSchema(_redshift(), settings().redshift_loader)
    from penstock.adapters.postgres import PostgresViewSchema

    return PostgresViewSchema(_warehouse_conninfo)


@cache
def described_views() -> Mapping[str, View]:
    from penstock.model.views import load_views

    return load_views(settings().datasets, datasets())


@cache
def search() -> SearchIndex | None:
    """None for a stack without one."""
    url = settings().search_url
    if not url:
        return None
    from penstock.adapters.opensearch import OpenSearchIndex
    from penstock.adapters.opensearch_client import make_client

    return OpenSearchIndex(make_client(url, settings().search_auth, region()))


def forget_connections() -> None:
    """After an error: the next call reads the warehouse's secret again, which may have been rotated, and connects."""
    warehouse.cache_clear()
    schema.cache_clear()
    views.cache_clear()
    view_schema.cache_clear()


def _redshift() -> DataApi:
    """IAM signs each call; a secret is named by its ARN and read by Redshift, never by Penstock."""
    from penstock.adapters.redshift import DataApi, Endpoint

    known = settings()
    endpoint = Endpoint(
        database=known.redshift_database,
        workgroup=known.redshift_workgroup,
        cluster=known.redshift_cluster,
        db_user=known.redshift_db_user,
        secret_arn=known.warehouse_secret_arn,
    )
    return DataApi(client("redshift-data"), endpoint)


def _warehouse_conninfo() -> str:
    """Asked for each connection. Raises DestinationDownError where there is no way in."""
    from penstock.adapters.postgres.login import by_secret, no_way_in

    known = settings()
    if known.warehouse_host:
        return _by_iam(known.warehouse_user)
    if not known.warehouse_secret_arn:
        raise no_way_in("PENSTOCK_WAREHOUSE_SECRET_ARN is not set: set the stack's WarehouseSecretArn and deploy")
    return by_secret(client("secretsmanager"), known.warehouse_secret_arn, known.datasets)


def _by_iam(user: str) -> str:
    from penstock.adapters.postgres.login import by_iam

    known = settings()
    return by_iam(client("rds"), known.warehouse_host, known.warehouse_database, user, known.datasets)
