"""MCP server: logs in your own files, on disk or in S3."""
