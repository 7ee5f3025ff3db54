"""What guides an investigation: steering files, skills, and what people tell it."""
