"""Readings of the journal for people and programs; they decide nothing."""
