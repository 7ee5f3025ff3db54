"""The action service: takes queued jobs and carries them out."""
