"""Does a server keep the evidence contract? Asks any MCP server, over the protocol alone, and says what it lacks.

Only tools that declare both a role and that they only read are called. This is no test of whether what a server
tells is true, nor of how fast it is.
"""

from midwatch.conformance.check import Plan, check_server
from midwatch.conformance.verdicts import Mark, Report, Verdict

__all__ = ["Mark", "Plan", "Report", "Verdict", "check_server"]
