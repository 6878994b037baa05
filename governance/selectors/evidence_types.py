"""The types of evidence that there are: those that the product comes with, and the installation's own."""

from collections.abc import Mapping
from functools import lru_cache

from governance.evidence.errors import EvidenceRefusedError, Fault
from governance.evidence.own_types import OWN_PREFIX, own_type
from governance.evidence.registry import TypeVersion, installed_types, type_get
from governance.models import EvidenceTypeRetirement, EvidenceTypeVersion
from governance.policy.facts import Vocabulary, vocabulary_of


def own_types() -> dict[str, TypeVersion]:
    """Give the installation's own types by name, each in its newest version, the retired ones too."""
    newest = EvidenceTypeVersion.objects.order_by("name", "-number").distinct("name")
    return {name: _defined(digest) for name, digest in newest.values_list("name", "digest")}


@lru_cache(maxsize=1024)
def _defined(digest: str) -> TypeVersion:
    """Read a definition once: what has this digest is the same for ever."""
    return own_type(bytes(EvidenceTypeVersion.objects.values_list("document", flat=True).get(digest=digest)))


def types_known() -> dict[str, TypeVersion]:
    """Give every type by name, in its newest version."""
    return installed_types() | own_types()


def types_retired() -> frozenset[str]:
    """Give the names of the types of which nothing is taken any more."""
    return frozenset(EvidenceTypeRetirement.objects.values_list("name", flat=True))


def type_taken(name: str, pointer: str = "/type") -> TypeVersion:
    """Give a type of which evidence is taken, in its newest version.

    Raises:
        EvidenceRefusedError: There is none of that name, it is taken from records, or it was retired.
    """
    kind = type_get(name, types_known(), pointer)
    if name in types_retired():
        raise EvidenceRefusedError((Fault(pointer, f'"{name}" was retired; no more evidence of it is taken'),))
    return kind


def type_title(name: str) -> str:
    """Give a type in words; the name itself where it is not known."""
    known = own_types() if name.startswith(OWN_PREFIX) else installed_types()
    return known[name].title if name in known else name


def vocabulary_current() -> Vocabulary:
    """Give what policies can speak of now."""
    return vocabulary_of(own_types().values())


def vocabulary_then(types: Mapping[str, str]) -> Vocabulary | None:
    """Give what policies could speak of when these definitions were the newest; None where one is not there any more.

    Args:
        types: Digest of a definition by name of the type. For the others the newest is as good: what rules read of a
            version they read of every later one.
    """
    stored = EvidenceTypeVersion.objects.filter(digest__in=types.values()).values_list("name", "digest")
    if dict(stored) != dict(types):
        return None
    return vocabulary_of((own_types() | {name: _defined(digest) for name, digest in types.items()}).values())


def definitions_current(names: frozenset[str]) -> dict[str, str]:
    """Give the digest of the newest definition of each of these types that is the installation's own."""
    own = EvidenceTypeVersion.objects.filter(name__in=[name for name in names if name.startswith(OWN_PREFIX)])
    return dict(own.order_by("name", "-number").distinct("name").values_list("name", "digest"))
