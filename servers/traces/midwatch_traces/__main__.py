"""`python -m midwatch_traces` is `midwatch-traces`."""

from midwatch_traces.server import main

if __name__ == "__main__":
    main()
