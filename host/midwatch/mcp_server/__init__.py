"""The host as an MCP server: start, follow, steer, ask and read investigations from any MCP client.

Everything a client reads is a reading of the journal. It is no second host: investigations run as they do under
`midwatch up`, and a plan is approved by a person or not at all.
"""
