"""MCP server: what changed."""
