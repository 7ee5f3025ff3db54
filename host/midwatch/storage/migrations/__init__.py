"""How the tables came to be, step by step: each revision goes up and down. See `database.py` for who runs them."""
