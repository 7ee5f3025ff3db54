"""Incidents kept: snapshots of what an investigation looked at, replays of them, and cases that stay tests for good."""
