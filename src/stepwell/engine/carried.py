"""What a retry or restart hands to its new run besides kept records: which steps to pass over, which way branches go,
and which operations go on under their old id."""

import hashlib
from collections.abc import Mapping

import msgspec


class Carried(msgspec.Struct, frozen=True):
    """`passed`: paths of ancestors without a result, never run. `taken`: path of a deciding step -> the way it goes.
    `operations`: path -> operation id and digest of the input it was for. `turns`: path of a loop -> its first turn to
    run. `bodies`: path of a try -> the body in which it goes on. `entered`: containers that run whatever their `when`
    says, as the start stands in them."""

    passed: frozenset[str] = frozenset()
    taken: Mapping[str, bool] = {}
    operations: Mapping[str, tuple[str, str]] = {}
    turns: Mapping[str, int] = {}
    bodies: Mapping[str, int] = {}
    entered: frozenset[str] = frozenset()

    def operation_id(self, path: str, config: bytes) -> str | None:
        """The old operation id of a path, if its input is still the same."""
        known = self.operations.get(path)
        return known[0] if known and known[1] == digest(config) else None


NOTHING = Carried()


def digest(config: bytes) -> str:
    """What tells equal inputs from different ones."""
    return hashlib.blake2b(config, digest_size=16).hexdigest()


def encode(carried: Carried) -> bytes | None:
    """As it is stored with the run; None if there is nothing to carry."""
    return None if carried == NOTHING else msgspec.json.encode(carried)


def decode(raw: bytes | None) -> Carried:
    """From what is stored with the run."""
    return NOTHING if raw is None else msgspec.json.decode(raw, type=Carried)
