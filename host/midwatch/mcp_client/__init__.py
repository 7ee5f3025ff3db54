"""The host as a client of MCP servers: which there are, what their tools are for, and one connection to each."""
