"""The host: from an alert to a checked conclusion."""
