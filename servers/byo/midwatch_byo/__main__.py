"""`python -m midwatch_byo` is `midwatch-byo`; nothing else is here."""

from midwatch_byo.server import main

main()
