"""The embedded telemetry store: OTLP in, Parquet on disk, DuckDB out.

This face is the reading one; `midwatch_store.writer` needs the `receiver` extra.
"""

from midwatch_store.clock import from_ns, to_ns
from midwatch_store.errors import InvalidRows, QueryTimeout, StoreBusy, StoreError, StoreNotFound
from midwatch_store.reader import Damaged, Store
from midwatch_store.schema import TABLES, Column, Table

__all__ = [
    "TABLES",
    "Column",
    "Damaged",
    "InvalidRows",
    "QueryTimeout",
    "Store",
    "StoreBusy",
    "StoreError",
    "StoreNotFound",
    "Table",
    "from_ns",
    "to_ns",
]
