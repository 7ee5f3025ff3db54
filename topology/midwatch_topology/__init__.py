"""The graph of an application."""
