"""The builtin reasoner: deterministic judgements over observations and topology; no model, no key, no network.

Every module here is pure: values in, values out. Asking servers and keeping records is the investigation's work.
"""
