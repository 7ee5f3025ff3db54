"""MCP server: what changed (deploys, configuration, flags, infrastructure, sessions of people), and the way back."""
