"""OpenTelemetry's protocol (OTLP 1.x) as the store's rows: pure functions from bytes to values.

`wire` turns a request body into a message, `logs`, `traces` and `metrics` turn messages into rows, `signals` names the
three and joins both steps. Nothing here listens, writes or reads a clock.
"""
