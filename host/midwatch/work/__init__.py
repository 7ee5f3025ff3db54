"""Who investigates what is due: this process alone, or several hosts that share one PostgreSQL.

Both take what waits from the journal, where it stays due until it is reported, and run it by `investigating`.
"""
