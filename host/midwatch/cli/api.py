"""The command that tells of the HTTP API."""

from midwatch.cli.app import app
from midwatch.cli.shared import print_json


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the HTTP API."""
    from midwatch.api.app import document  # noqa: PLC0415 - it takes long to import, and no other command needs it

    print_json(document())
