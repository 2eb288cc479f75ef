"""OpenAPI: any document of version 3.0 or 3.1 made into the manifest of a connector."""

from stepwell.connectors.openapi.document import MAX_BYTES, BadDocument, read_document
from stepwell.connectors.openapi.importing import MAX_OPERATIONS, Imported, import_document

__all__ = ["MAX_BYTES", "MAX_OPERATIONS", "BadDocument", "Imported", "import_document", "read_document"]
