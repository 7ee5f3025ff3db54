"""The state of a Kubernetes cluster over MCP: what there is, how it is tied, and what is wrong with it now."""
