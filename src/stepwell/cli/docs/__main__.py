"""`python -m stepwell.cli.docs FOLDER`: bring the generated parts of a folder's pages up to date."""

import sys
from pathlib import Path

from stepwell.cli.docs import REGIONS, write
from stepwell.cli.output import say

for page in write(Path(sys.argv[1]), REGIONS):
    say(f"{page} changed")
