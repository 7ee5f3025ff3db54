"""How often an investigation is right on incidents that others published, and how much its confidence is worth."""
