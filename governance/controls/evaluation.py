"""What became of each control for one system on one day. The same inputs give the same result, byte for byte."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from governance.controls.catalogue import Catalogue, Control, Need, Standing, catalogue_at, starts_words
from governance.controls.conditions import Answer, all_of
from governance.controls.facts import Facts, facts_to_json
from governance.controls.vocabulary import About, Outcome, Result, Status
from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.times import format_time

INPUTS_FORMAT = "modelnotary-control-inputs/v1"
ORGANIZATION = "organization"
"""Subject of evidence that is about the organization and not about one system."""

# What a piece of evidence does for a control, the gravest first: the worst counts.
_GRAVEST_FIRST = (Outcome.FAIL, Outcome.EVIDENCE_MISSING, Outcome.INSUFFICIENT_DATA, Outcome.PASS)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A deposited fact.

    Attributes:
        id: Its name.
        type: Its kind, a name in the catalogue's evidence types.
        digest: Of its bytes.
        subject: Digest of a model version, id of a system, or `organization`.
        result: What it says; None: it states no result.
        measured: Computed by the product itself, not reported.
        deposited_at: When.
        expires_at: From when on it no longer counts; None: it has no end of its own.
    """

    id: str
    type: str
    digest: str
    subject: str
    result: Result | None
    measured: bool
    deposited_at: datetime
    expires_at: datetime | None = None

    def to_json(self) -> dict[str, Json]:
        """As canonical JSON takes it."""
        return {
            "id": self.id,
            "type": self.type,
            "digest": self.digest,
            "subject": self.subject,
            "result": self.result.value if self.result else None,
            "measured": self.measured,
            "deposited_at": format_time(self.deposited_at),
            "expires_at": format_time(self.expires_at) if self.expires_at else None,
        }


@dataclass(frozen=True, slots=True)
class SystemState:
    """A system as it stood: its declared facts, and the model versions in use.

    Attributes:
        id: Of the system.
        facts: What is declared; what is not declared is unknown.
        versions: (digest, name) of each model version in use.
    """

    id: str
    facts: Facts
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Considered:
    """A piece of evidence that a control looked at, what it did for it, and why."""

    evidence: Evidence
    counted: bool
    why: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Evidence that a control asks for and that is not there: its type and what it would be about."""

    type: str
    about: str


@dataclass(frozen=True, slots=True)
class ControlResult:
    """What became of one control, why, on what, and what is missing."""

    standing: Standing
    outcome: Outcome
    reason: str
    considered: tuple[Considered, ...] = ()
    missing: tuple[Missing, ...] = ()

    @property
    def control(self) -> Control:
        """The control itself."""
        return self.standing.control

    def to_json(self) -> dict[str, Json]:
        """As canonical JSON takes it."""
        return {
            "control": self.control.id,
            "status": self.standing.status.value,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "considered": [
                {"evidence": item.evidence.id, "counted": item.counted, "why": item.why} for item in self.considered
            ],
            "missing": [{"type": item.type, "about": item.about} for item in self.missing],
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All controls of a catalogue for one system on one day.

    Attributes:
        catalogue_version: Name of the catalogue's version.
        catalogue_digest: SHA-256 of the catalogue.
        as_of: The day; everything until its end (UTC) counts.
        checked: False when the day is after the last on which the catalogue was held against its sources.
        inputs_digest: SHA-256 of the facts, versions and evidence that were looked at.
        results: One for each control, in the catalogue's order.
    """

    catalogue_version: str
    catalogue_digest: Digest
    as_of: date
    checked: bool
    inputs_digest: Digest
    results: tuple[ControlResult, ...]

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many controls have each outcome."""
        reached = Counter(result.outcome for result in self.results)
        return {outcome: reached[outcome] for outcome in Outcome}

    @property
    def digest(self) -> Digest:
        """SHA-256 of the whole result as canonical JSON: who evaluates again must get the same."""
        return Digest.of(
            canonical_bytes(
                {
                    "catalogue": self.catalogue_digest.text,
                    "as_of": self.as_of.isoformat(),
                    "inputs": self.inputs_digest.text,
                    "results": [result.to_json() for result in self.results],
                }
            )
        )


def day_end(as_of: date) -> datetime:
    """Give the end of a day in UTC: what was deposited before it counts, and what has expired by then does not."""
    return datetime.combine(as_of + timedelta(days=1), time(), UTC)


def evaluate(catalogue: Catalogue, system: SystemState, evidence: tuple[Evidence, ...], as_of: date) -> Evaluation:
    """Tell for each control whether a system met it on a day.

    A control that does not hold on that day or for that system is not applicable, with the reason. When a declared fact
    is missing it is insufficient data, never not applicable. Among evidence of one type about one thing the worst
    counts; expired evidence is none.

    Raises:
        CoverageError: The day is before the first that the catalogue covers.
    """
    known = tuple(sorted((item for item in evidence if item.deposited_at < day_end(as_of)), key=_order))
    standings = catalogue_at(catalogue, as_of)
    return Evaluation(
        catalogue_version=catalogue.version,
        catalogue_digest=catalogue.digest,
        as_of=as_of,
        checked=as_of <= catalogue.checked_on,
        inputs_digest=_inputs_digest(system, known),
        results=tuple(_control_result(catalogue, standing, system, known, as_of) for standing in standings),
    )


def _order(item: Evidence) -> tuple[str, str]:
    return item.id, item.subject


def _inputs_digest(system: SystemState, evidence: tuple[Evidence, ...]) -> Digest:
    return Digest.of(
        canonical_bytes(
            {
                "format": INPUTS_FORMAT,
                "system": system.id,
                "facts": facts_to_json(system.facts),
                "versions": [{"digest": digest, "name": name} for digest, name in sorted(system.versions)],
                "evidence": [item.to_json() for item in evidence],
            }
        )
    )


def _control_result(
    catalogue: Catalogue, standing: Standing, system: SystemState, evidence: tuple[Evidence, ...], as_of: date
) -> ControlResult:
    if standing.status is not Status.IN_FORCE:
        return ControlResult(standing, Outcome.NOT_APPLICABLE, standing.why)
    answer = _applies(standing.control, system.facts, as_of)
    if answer.holds is None:
        reason = f"whether it applies is not known: {'; '.join(answer.because)}"
        return ControlResult(standing, Outcome.INSUFFICIENT_DATA, reason)
    if not answer.holds:
        return ControlResult(standing, Outcome.NOT_APPLICABLE, "; ".join(answer.because))
    return _evidence_result(catalogue, standing, system, evidence, as_of)


def _applies(control: Control, facts: Facts, as_of: date) -> Answer:
    """Say whether a control holds for a system on a day: its conditions, and a beginning that is the system's."""
    general = all_of([condition.ask(facts) for condition in control.applies])
    starts = control.starts_known(as_of)
    if general.holds is False or not starts:
        return general
    asked = [(start, start.applies.ask(facts)) for start in starts]
    if any(answer.holds and start.effective_from <= as_of for start, answer in asked):
        return general
    theirs = tuple(start for start, answer in asked if answer.holds)
    if theirs:
        return Answer(holds=False, because=(f"decided; applies to this system from {starts_words(theirs)}",))
    unknown = [answer for start, answer in asked if answer.holds is None and start.effective_from <= as_of]
    return all_of([general, *(unknown or [answer for _, answer in asked])])


def _evidence_result(
    catalogue: Catalogue, standing: Standing, system: SystemState, evidence: tuple[Evidence, ...], as_of: date
) -> ControlResult:
    considered: list[Considered] = []
    missing: list[Missing] = []
    reached: list[tuple[Outcome, str]] = []
    for need in standing.control.needs:
        kind = catalogue.evidence_kinds[need.type]
        subjects = _subjects(kind.about, system)
        if not subjects:
            missing.append(Missing(need.type, "a model version; none is registered in this system"))
        for subject, name in subjects:
            found = [item for item in evidence if (item.type, item.subject) == (need.type, subject)]
            looked = [_look(item, need, kind.verdict, as_of) for item in found]
            considered += [item for item, _ in looked]
            counted = [(outcome, item.why) for item, outcome in looked if item.counted]
            reached += counted
            if not counted:
                missing.append(Missing(need.type, name))
    reached += [(Outcome.EVIDENCE_MISSING, f"{item.type} of {item.about} is missing") for item in missing]
    outcome = next(outcome for outcome in _GRAVEST_FIRST if outcome in {each for each, _ in reached})
    reason = "; ".join(dict.fromkeys(why for each, why in reached if each is outcome))
    return ControlResult(standing, outcome, reason, tuple(considered), tuple(missing))


def _subjects(about: About, system: SystemState) -> tuple[tuple[str, str], ...]:
    if about is About.MODEL_VERSION:
        return tuple(sorted(system.versions))
    if about is About.SYSTEM:
        return ((system.id, "the system"),)
    return ((ORGANIZATION, "the organization"),)


def _look(item: Evidence, need: Need, verdict: bool, as_of: date) -> tuple[Considered, Outcome]:  # noqa: FBT001
    """Tell what one piece of evidence does for a control."""
    end = day_end(as_of)
    if item.expires_at and item.expires_at <= end:
        why = f"{item.id} expired at {format_time(item.expires_at)}"
        return Considered(item, counted=False, why=why), Outcome.EVIDENCE_MISSING
    if need.max_age_days and item.deposited_at < end - timedelta(days=need.max_age_days):
        why = f"{item.id} of {item.deposited_at.date()} is older than {need.max_age_days} days"
        return Considered(item, counted=False, why=why), Outcome.EVIDENCE_MISSING
    outcome, said = _outcome(item.result, verdict=verdict)
    return Considered(item, counted=True, why=f"{item.type} {item.id} {said}"), outcome


def _outcome(result: Result | None, *, verdict: bool) -> tuple[Outcome, str]:
    match result:
        case Result.PASS:
            return Outcome.PASS, "says pass"
        case Result.FAIL:
            return Outcome.FAIL, "says fail"
        case Result.INSUFFICIENT_DATA:
            return Outcome.INSUFFICIENT_DATA, "says that its data are insufficient"
        case Result.NOT_APPLICABLE:
            # Whether a control applies follows from declared facts; evidence cannot talk a system out of it.
            return Outcome.INSUFFICIENT_DATA, "says that it is not applicable, which tells nothing of this control"
        case None if verdict:
            return Outcome.INSUFFICIENT_DATA, "states no result, and one is needed"
        case None:
            return Outcome.PASS, "is there"
