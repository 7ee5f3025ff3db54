"""MCP server: traces."""
