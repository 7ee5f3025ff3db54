"""The embedded telemetry store: OTLP in, Parquet on disk, DuckDB out."""
