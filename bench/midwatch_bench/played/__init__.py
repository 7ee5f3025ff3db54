"""Investigations whose model is played by somebody: prepared, run, answered, and what they cost as a table."""
