"""`stepwell schema` and `stepwell openapi`: what editors and client generators read."""

from stepwell.cli.options import OutputOption
from stepwell.cli.output import json_text, write_text
from stepwell.connectors import Connectors, load_manifests
from stepwell.definitions import document_schema
from stepwell.http import openapi_document
from stepwell.http.app import DIALECTS
from stepwell.steps import STEP_TYPES


def schema(output: OutputOption = None) -> None:
    """Write the JSON Schema of a workflow's definition, for editors that complete and check it."""
    write_text(json_text(document_schema(STEP_TYPES, Connectors(load_manifests()))) + "\n", output)


def openapi(output: OutputOption = None) -> None:
    """Write the OpenAPI 3.1 document of the HTTP API."""
    write_text(json_text(openapi_document(DIALECTS)) + "\n", output)
