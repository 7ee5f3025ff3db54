"""MCP server: logs."""
