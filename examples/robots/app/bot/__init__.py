"""The bot service: knows every robot and what it takes to send one on a mission."""
