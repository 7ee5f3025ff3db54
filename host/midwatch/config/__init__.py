"""What people ask of settings: every mistake with its place, what holds and where it was said, a schema for editors."""
