"""A process that says it is ready and then waits: stands in for one of ours where only starting is tested."""

import sys
import time
from pathlib import Path

(Path(sys.argv[2]) / "run" / "ready").touch()
time.sleep(300)
