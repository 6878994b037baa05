"""Which steps of its numbered procedure a check reports on, so that what is printed can be followed step by step."""

from collections.abc import Mapping

_LOG_AUTHENTIC = ("keys", "checkpoint", "witnesses")
_LOG_CONTENT = ("pruning", "entries", "tree", "chain", "rotations", "anchors", "predecessor")

_BUNDLE: dict[str, tuple[int, ...]] = {
    "archive": (1,),
    "trust": (2,),
    "manifest": (3,),
    "files": (4,),
    "kept checkpoint": (7,),
}
_BUNDLE |= {
    "decisions": (8,),
    "contents": (8, 9),
    "evidence": (9,),
    "policies": (9,),
    "reports": (9,),
    "passkeys": (10,),
    "envelopes": (11,),
}
_LOG: dict[str, tuple[int, ...]] = {"files": (1, 6), "trust": (2,), "checkpoint": (3,), "kept checkpoint": (5,)}
_ARCHIVE: dict[str, tuple[int, ...]] = {
    "files": (1, 4),
    "trust": (2,),
    "manifest": (3,),
    "checkpoint": (5,),
    "witnesses": (5,),
    "entries": (6,),
}
_ARCHIVE |= {"tree": (7,), "chain": (8,), "kept checkpoint": (9,)}
_REPORT: dict[str, tuple[int, ...]] = {
    "file": (1,),
    "signature container": (2,),
    "signature": (3,),
    "signer": (3,),
    "document": (4,),
}
_REPORT |= {"attached data": (5,), "decisions": (6,), "keys": (7,), "checkpoints": (7,), "ledger proofs": (7,)}
_REPORT |= {"citations": (8,)}
_DECISION: dict[str, tuple[int, ...]] = {"signature": (1, 3), "statement": (2,), "validity": (3,)}
_PROOF: dict[str, tuple[int, ...]] = {"proof": (1, 3), "checkpoint": (2,), "witnesses": (2,), "entry": (4,)}
_DISCLOSURE: dict[str, tuple[int, ...]] = {"disclosure": (1,), "opening": (3,), **dict.fromkeys(_PROOF, (2,))}

STEPS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "bundle": _BUNDLE,
    "log": _LOG,
    "archive": _ARCHIVE,
    "report": _REPORT,
    "decision": _DECISION,
    "proof": _PROOF,
    "disclosure": _DISCLOSURE,
}
"""By kind of evidence and name of a check."""
LOG_STEPS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "bundle": {**dict.fromkeys(_LOG_AUTHENTIC, (5,)), **dict.fromkeys(_LOG_CONTENT, (6,))},
    "log": dict.fromkeys((*_LOG_AUTHENTIC, *_LOG_CONTENT), (4,)),
}
"""The same for checks of one log among several, whose names begin with the log's."""


def steps_of(kind: str, check: str) -> tuple[int, ...]:
    """Give the numbers of the steps that a check reports on; none for what holds several pieces of evidence together.

    Args:
        kind: of the evidence, as in `VerificationReport.kind`.
        check: the check's name.
    """
    own = STEPS.get(kind, {}).get(check)
    return own if own is not None else LOG_STEPS.get(kind, {}).get(check.partition(" ")[2], ())
