"""From the environment to settings and adapters: what each `app.py` asks for, by one name.

Everything is built when it is first asked for, kept while the worker lives, and imported where it is built: a function
pays at its cold start for nothing that it does not use.
"""

from penstock.wiring.destinations import (
    described_views,
    forget_connections,
    roles,
    schema,
    search,
    view_schema,
    views,
    warehouse,
)
from penstock.wiring.environment import Settings, settings
from penstock.wiring.files import clock, datasets, index_bound, leases, limits, load_bound, runs, store
from penstock.wiring.kick_offs import pipeline
from penstock.wiring.streams import Streaming, counts, messages_prefix, notices, poison_queue, rates, streaming, watches

__all__ = [
    "Settings",
    "Streaming",
    "clock",
    "counts",
    "datasets",
    "described_views",
    "forget_connections",
    "index_bound",
    "leases",
    "limits",
    "load_bound",
    "messages_prefix",
    "notices",
    "pipeline",
    "poison_queue",
    "rates",
    "roles",
    "runs",
    "schema",
    "search",
    "settings",
    "store",
    "streaming",
    "view_schema",
    "views",
    "warehouse",
    "watches",
]
