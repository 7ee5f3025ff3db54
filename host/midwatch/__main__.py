"""`python -m midwatch` is `midwatch`."""

from midwatch.cli import main

if __name__ == "__main__":
    main()
