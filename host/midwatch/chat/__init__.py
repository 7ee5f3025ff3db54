"""Questions: about an investigation, from its journal first and by fresh looks when asked; about the environment.

Code answers what it has a pattern for, the same for the same records. A model, where the settings have one, answers
the rest, with statements whose quotes code looks up. The command line and the MCP server are the two edges of it.
"""
