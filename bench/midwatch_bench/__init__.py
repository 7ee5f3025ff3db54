"""Measures midwatch: accuracy on public incident data (importers, scorers), and speed against peers."""
