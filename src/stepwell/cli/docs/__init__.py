"""The generated parts of the documentation: what the code says of itself, put into the pages between two marks."""

from stepwell.cli.docs.regions import UnknownRegion, filled, write
from stepwell.cli.docs.tables import REGIONS

__all__ = ["REGIONS", "UnknownRegion", "filled", "write"]
