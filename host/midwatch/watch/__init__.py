"""The recovery watch: after a conclusion or a mitigation midwatch keeps looking, closes by itself, and reopens.

`sight` takes one look, `course` says what follows from all looks, `standing` reads them from the journal, `watching`
is the task that does it for all incidents of a host.
"""
