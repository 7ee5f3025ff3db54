"""`python -m midwatch_metrics` is `midwatch-metrics`; nothing else is here."""

import gc

gc.disable()  # what is imported stays: to look through it time and again is a seventh of a start

from midwatch_metrics.server import main  # noqa: E402

if __name__ == "__main__":
    main()
