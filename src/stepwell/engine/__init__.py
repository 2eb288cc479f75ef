"""The engine: an interpreter over a journal, and the services that give it runs to walk."""

from stepwell.engine.engine import Engine
from stepwell.engine.gear import Limits
from stepwell.engine.ports import Environment, NoSecrets, SecretBox
from stepwell.engine.timers import Timers

__all__ = ["Engine", "Environment", "Limits", "NoSecrets", "SecretBox", "Timers"]
