"""What flows through an investigation, in the order in which it comes to exist.

Every value is frozen and goes into the journal as it appears. The set of record types is closed: `BODIES` names
each with its shape, and `midwatch schema` publishes them as JSON Schema.
"""

from typing import Literal

from midwatch.records.alert import Alert, Severity
from midwatch.records.call import Budget, Gap, ModelCall, ToolCall
from midwatch.records.conclusion import Cause, Conclusion, Limit, Outcome, Report
from midwatch.records.feedback import Feedback, NamedCause
from midwatch.records.hypothesis import Argument, Hypothesis, HypothesisKind, Verdict
from midwatch.records.incident import Incident, Status
from midwatch.records.message import Message
from midwatch.records.plan import (
    Action,
    ActionOutcome,
    Call,
    Comparison,
    Condition,
    Decision,
    Expectation,
    Health,
    Phase,
    Plan,
    Step,
)
from midwatch.records.recommendation import Recommendation
from midwatch.records.runbook import Runbook
from midwatch.records.scope import Scope
from midwatch.records.steer import Steer
from midwatch.records.watch import Watch
from midwatch_kit.records import Observation, Record

RecordType = Literal[
    "incident", "topology", "hypothesis", "tool_call", "observation", "verdict", "gap", "steer", "conclusion",
    "plan", "decision", "action", "health", "message", "budget", "report", "recommendation", "feedback", "model_call",
    "runbook", "watch",
]  # fmt: skip

BODIES: dict[RecordType, type[Record]] = {
    "incident": Incident,
    "topology": Scope,
    "hypothesis": Hypothesis,
    "tool_call": ToolCall,
    "observation": Observation,
    "verdict": Verdict,
    "gap": Gap,
    "steer": Steer,
    "conclusion": Conclusion,
    "plan": Plan,
    "decision": Decision,
    "action": Action,
    "health": Health,
    "message": Message,
    "budget": Budget,
    "report": Report,
    "recommendation": Recommendation,
    "feedback": Feedback,
    "model_call": ModelCall,
    "runbook": Runbook,
    "watch": Watch,
}

__all__ = [
    "BODIES",
    "Action",
    "ActionOutcome",
    "Alert",
    "Argument",
    "Budget",
    "Call",
    "Cause",
    "Comparison",
    "Conclusion",
    "Condition",
    "Decision",
    "Expectation",
    "Feedback",
    "Gap",
    "Health",
    "Hypothesis",
    "HypothesisKind",
    "Incident",
    "Limit",
    "Message",
    "ModelCall",
    "NamedCause",
    "Outcome",
    "Phase",
    "Plan",
    "RecordType",
    "Report",
    "Scope",
    "Severity",
    "Status",
    "Steer",
    "Step",
    "ToolCall",
    "Verdict",
]
