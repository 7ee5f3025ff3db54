"""From a plan to what is done: approvals, the gate, and how health and conditions are told."""
