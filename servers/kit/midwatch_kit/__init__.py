"""The evidence contract that every midwatch server shares."""
