"""Makes `bench` importable: it is run from the repository's root, and is no installed package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
