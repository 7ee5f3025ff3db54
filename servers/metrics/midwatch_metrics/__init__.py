"""MCP server: metrics."""
