"""What can go wrong between a request and its answer.

ServiceError
├── Refused            the caller asked for something that can't be had (4xx)
├── Overloaded         this service takes no more for the moment (503)
└── UpstreamFailed     a service that this one needs didn't do its part (502)
    └── UpstreamBusy   it didn't answer in time, or is overloaded: it may be asked again
"""


class ServiceError(Exception):
    """Raised to answer a request with `status` and the error's text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Refused(ServiceError):
    """Raised when the request itself is at fault."""


class Overloaded(ServiceError):
    """Raised instead of taking on more than can be done in time."""

    def __init__(self, message: str) -> None:
        super().__init__(503, message)


class UpstreamFailed(ServiceError):
    """Raised when another service failed, timed out or couldn't be reached."""

    def __init__(self, upstream: str, message: str) -> None:
        super().__init__(502, f"{upstream} failed: {message}")


class UpstreamBusy(UpstreamFailed):
    """Raised when another service didn't answer in time, or said that it has too much to do."""
