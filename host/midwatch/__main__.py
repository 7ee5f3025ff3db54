"""`python -m midwatch` is `midwatch`."""

import gc

gc.disable()  # what is imported stays: to look through it time and again is a sixth of a start

from midwatch.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
