"""`python -m midwatch_cluster` is `midwatch-cluster`; nothing else is here."""

from midwatch_cluster.server import main

main()
