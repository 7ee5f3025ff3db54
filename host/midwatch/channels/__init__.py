"""Telling people where they are already: what is told, how each place is told, and that each thing is told once.

What is told is a reading of the journal (`notices`); how, one module for each kind of place; the outbox keeps what was
meant to be said, and what came of it. What comes back from people goes the ways that there are: a question, a steer, a
decision by digest.
"""
