"""HTTP: the application, its pipeline, and the dialects that clients speak."""

from stepwell.http.app import DIALECTS, App, create_app
from stepwell.http.openapi import openapi_document

__all__ = ["DIALECTS", "App", "create_app", "openapi_document"]
