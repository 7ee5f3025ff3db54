"""What a store holds, counted: for `midwatch-store info` and for whoever asks a store for its state."""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from midwatch_store.reader import Store
from midwatch_store.schema import TABLES


class TableSummary(BaseModel):
    """One table: rows, and the times of the first and last."""

    model_config = ConfigDict(frozen=True)

    name: str
    rows: int
    first: AwareDatetime | None
    last: AwareDatetime | None


class Summary(BaseModel):
    """A store: its size in bytes, its last Seq, its tables, and the files that cannot be read, with the reason."""

    model_config = ConfigDict(frozen=True)

    path: str
    bytes: int
    last_seq: int
    tables: tuple[TableSummary, ...]
    damaged: dict[str, str]


def summarise(store: Store) -> Summary:
    """Count what the store holds now; opens every file's footer."""
    return Summary(
        path=str(store.path),
        bytes=store.bytes(),
        last_seq=store.last_seq(),
        tables=tuple(_summarise_table(store, name) for name in TABLES),
        damaged={str(damaged.path): damaged.reason for damaged in store.damaged()},
    )


def as_text(summary: Summary) -> str:
    """The summary for a terminal."""
    lines = [f"{summary.path}: {summary.bytes:,} bytes, last Seq {summary.last_seq}"]
    for table in summary.tables:
        extent = f"  {_time(table.first)} to {_time(table.last)}" if table.first else ""
        lines.append(f"  {table.name:<24}{table.rows:>12,}{extent}")
    lines += [f"  damaged: {path}: {reason}" for path, reason in summary.damaged.items()]
    return "\n".join(lines)


def _summarise_table(store: Store, name: str) -> TableSummary:
    rows = store.query(f"SELECT count(*) FROM {name}")[0][0]  # noqa: S608 - a table of the schema
    first, last = store.extent(name) or (None, None)
    return TableSummary(name=name, rows=rows, first=first, last=last)


def _time(moment: AwareDatetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
