"""`python -m midwatch_deploys` is `midwatch-deploys`; nothing else is here."""

from midwatch_deploys.server import main

main()
