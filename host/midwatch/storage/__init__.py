"""What the host keeps: the journal, the evidence and all tables, in SQLite or PostgreSQL, and who may work on what."""
