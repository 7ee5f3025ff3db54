"""The HTTP API: incidents, the journal and its stream, topology, steering, decisions, health, and figures about itself.

Everything that is read is a reading of the journal; everything that is done goes on record there under the name of the
token that it was done with. `docs/openapi.json` is the whole of it.
"""
