"""`python -m midwatch_bench.accuracy SET` is `midwatch bench accuracy SET`."""

import typer

from midwatch_bench.accuracy.command import accuracy
from midwatch_bench.accuracy.data_sets import SETS

app = typer.Typer(add_completion=False)
for name in SETS:
    app.command(name)(accuracy)
app()
