"""`python -m midwatch_metrics` is `midwatch-metrics`; nothing else is here."""

from midwatch_metrics.server import main

main()
