"""MCP server: logs in a team's own files, on disk or in S3."""
