"""The command that the suite starts for each of its scenarios: it hands the scenario on to `calling.py` and waits.

A process with the host in it takes more than a second to start, and there are fifty scenarios: so the host's client
runs in the tests' own process, and this one needs nothing but the standard library.
"""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as calling:
    calling.connect(sys.argv[1])
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    scenario = {"name": os.environ["MCP_CONFORMANCE_SCENARIO"], "url": sys.argv[-1], "context": context}
    calling.sendall(json.dumps(scenario).encode() + b"\n")
    trouble = calling.makefile().readline().strip()
sys.exit(trouble or None)
