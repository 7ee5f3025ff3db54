"""`python -m midwatch_logs` is `midwatch-logs`; nothing else is here."""

from midwatch_logs.server import main

main()
