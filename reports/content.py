"""The facts of a model audit report, frozen, each with the ledger entry it comes from.

The structure is the whole input of `reports.document.report_build` and, as canonical JSON, the twin inside
the PDF (`reports.twin`). Nothing here reads a clock, a database or a setting.

Text is plain text, never markup. Digests are ``sha256:`` + 64 hex digits, times RFC 3339 UTC with ``Z``,
rates and shares fractions 0..1; a number is None where the data do not allow the estimate.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Citation:
    """The ledger entry that recorded a fact.

    The offline verifier demands, for every citation of a report, a proven entry at this position whose
    subject has this kind and id and which names this digest.

    Attributes:
        origin: origin of the log, e.g. ``modelnotary.local/3f9a/lineage``.
        index: zero-based position of the entry in that log.
        kind: ``subject.kind`` of the entry, e.g. ``model_version``; `id` its ``subject.id``.
        digest: digest the entry names, as its subject or in its data; None where the entry names none.
    """

    origin: str
    index: int
    kind: str
    id: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class Particular:
    """One labelled value, printed as a row of a particulars table; a digest is printed in monospace."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Cover:
    """What the report is about.

    Attributes:
        organization: who operates the model; `title` the report's, e.g. ``Model audit report``.
        system: name of the AI system; `system_id` its id.
        purpose: intended purpose of the system, one or two sentences.
        owner: accountable owner, printed name.
        model: name of the model; `version`, `version_id` and `digest` those of the version examined.
        environment: environment the report is about, e.g. ``production``.
        not_covered: what was not examined, one sentence each; printed on the cover.
    """

    organization: str
    title: str
    system: str
    system_id: str
    purpose: str
    owner: str
    model: str
    version: str
    version_id: str
    digest: str
    environment: str
    not_covered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the summary: what was judged, what came of it, and the reason in one sentence.

    `verdict` is ``pass | fail | pending | error | waived | insufficient_data | not_applicable``.
    """

    area: str
    verdict: str
    words: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The page a reader with one minute reads: the answer in a short paragraph, then one verdict an area."""

    answer: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class LineageStep:
    """One link of the chain from data to use, in order.

    Attributes:
        stage: ``dataset | training_run | model_version | deployment``.
        name: printed name, e.g. ``HMDA Boston 1990, training rows``.
        role: part it plays, e.g. ``training data``; `detail` a line of facts; either may be empty.
        at: time of the event.
        source: the ledger entry; its digest is the digest of the thing itself.
    """

    stage: str
    name: str
    role: str
    detail: str
    at: str
    source: Citation


@dataclass(frozen=True, slots=True)
class Metric:
    """One performance figure: the estimate on `n` rows of `data` and the bounds of its interval."""

    name: str
    data: str
    n: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Performance:
    """How well the model does what it is for; `interval` names the intervals' method and level."""

    metrics: tuple[Metric, ...]
    interval: str
    source: Citation


@dataclass(frozen=True, slots=True)
class Importance:
    """Mean absolute attribution of one feature and the bounds of its interval, in the explanation's unit."""

    feature: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Global explanation of the model version.

    Attributes:
        method: e.g. ``Interventional TreeSHAP``; `n` the number of rows explained.
        unit: unit of the attributions, e.g. ``log-odds of denial``.
        interval: method and level of the intervals, e.g. ``95 % bootstrap over rows, 400 resamples``.
        features: most important first; all features, the document prints the top ones as a chart.
        receipt: what recomputing it needs: engine, versions, seed, background digest, additivity error, ...
    """

    method: str
    unit: str
    n: int
    interval: str
    features: tuple[Importance, ...]
    receipt: tuple[Particular, ...]
    source: Citation


@dataclass(frozen=True, slots=True)
class Group:
    """One row of a bias table.

    Attributes:
        name: value of the sensitive column; `n` the number of people with it.
        selection_rate: share with the favourable outcome; `low` and `high` the bounds of its interval.
        tpr: true positive rate; `fpr` false positive rate.
    """

    name: str
    n: int
    selection_rate: float | None
    low: float | None
    high: float | None
    tpr: float | None
    fpr: float | None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One fairness criterion and what came of it.

    Attributes:
        name: e.g. ``Demographic parity ratio``.
        verdict: ``pass | fail | insufficient_data | not_applicable``.
        observed: the estimate; `low` and `high` the bounds of its interval.
        comparison: how observed is held against the threshold: ``>= | <= | > | <``.
        threshold: the limit; `threshold_source` who set it, e.g. ``29 CFR 1607.4(D), four-fifths rule``.
        message: the outcome in one sentence.
    """

    name: str
    verdict: str
    observed: float | None
    low: float | None
    high: float | None
    comparison: str
    threshold: float
    threshold_source: str
    message: str


@dataclass(frozen=True, slots=True)
class BiasAssessment:
    """Outcomes by group of one sensitive column.

    Attributes:
        column: sensitive column, e.g. ``race``; `reference` its reference group.
        favourable: the favourable outcome in words, e.g. ``predicted: application accepted``.
        data: what it was measured on.
        interval: method and level of the intervals, e.g. ``95 % Wilson score``.
        groups: one row a group; `criteria` what was demanded of them; `source` the evidence.
    """

    column: str
    favourable: str
    data: str
    reference: str
    interval: str
    groups: tuple[Group, ...]
    criteria: tuple[Criterion, ...]
    source: Citation


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy rule as evaluated.

    Attributes:
        id: id of the rule in the policy; `title` the rule in words.
        outcome: ``pass | fail | pending | error | waived | not_applicable``.
        observed: what was found, as text; `expected` what the rule demands.
        message: the outcome in one sentence.
    """

    id: str
    title: str
    outcome: str
    observed: str
    expected: str
    message: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The immutable policy version a decision applied; its digest is the citation's."""

    id: str
    name: str
    version: int
    source: Citation


@dataclass(frozen=True, slots=True)
class Decision:
    """One gate decision.

    Attributes:
        id: id of the decision.
        state: ``passed | failed | error``, or ``expired | revoked | superseded`` by the as-of time.
        result: ``PASSED | FAILED``, the verification result inside the signed statement.
        environment: environment the decision speaks of; `model_digest` the model version it judged.
        decided_at: time of the decision; `expires_at` when it stops counting, None for never.
        policy: the policy version applied, None where the environment has none; `rules` as signed.
        envelope: the signed statement exactly as issued (DSSE JSON text), printed as its SHA-256.
        source: the entry that recorded the decision; its digest is the envelope's.
    """

    id: str
    state: str
    result: str
    environment: str
    model_digest: str
    decided_at: str
    expires_at: str | None
    policy: Policy | None
    rules: tuple[Rule, ...]
    envelope: str
    source: Citation


@dataclass(frozen=True, slots=True)
class Approval:
    """One electronic signature of a person (21 CFR 11.50); a report has all of its decisions' signatures.

    Attributes:
        name: printed name; `role` the office in which the person signed.
        meaning: what the signature means, e.g. ``I approve the deployment to production``.
        reason: the reason given.
        vote: ``approve | reject``.
        at: time of signing.
        statement_digest: digest of the statement that was on the screen.
        source: the entry that recorded the signature.
    """

    name: str
    role: str
    meaning: str
    reason: str
    vote: str
    at: str
    statement_digest: str
    source: Citation


@dataclass(frozen=True, slots=True)
class PurposeCount:
    """Access by purpose of use: events, distinct people acting.

    Not how many patients: nobody can tell which entries are about one person without that person's key, and a number
    that changes when somebody is forgotten could not be recomputed.
    """

    purpose: str
    words: str
    events: int
    actors: int


@dataclass(frozen=True, slots=True)
class AccessSummary:
    """Who looked, counted from the access log.

    Attributes:
        origin: origin of the access log; `size` how many of its entries, from the first, were counted.
        since: start of the period, inclusive; `until` its end, exclusive.
        denied: number of events refused, over all purposes.
        purposes: counts by purpose of use.
    """

    origin: str
    size: int
    since: str
    until: str
    denied: int
    purposes: tuple[PurposeCount, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The signed state of a log: the C2SP signed note as issued, and what it says (root in base64).

    ``rotations`` are the proofs (c2sp.org/tlog-proof) by which who has an older key follows to the one that signed.
    """

    origin: str
    size: int
    root: str
    note: str
    rotations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryProof:
    """One proven ledger entry.

    Attributes:
        index: zero-based position; `size` the size of the tree it is proven in (the checkpoint's).
        type: event type of the entry; `at` the time of the event.
        proof: C2SP tlog-proof text, the signed checkpoint included.
        leaf: the entry's bytes in base64 (RFC 4648, padded).
    """

    origin: str
    index: int
    size: int
    type: str
    at: str
    proof: str
    leaf: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """One checkpoint a log (lineage first) and one proof a cited entry, ordered by log and index."""

    checkpoints: tuple[Checkpoint, ...]
    proofs: tuple[EntryProof, ...]


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Everything a model audit report says; sections that do not apply are None or empty and are left out.

    Attributes:
        report_id: id of the report.
        instance: name of the installation, e.g. ``modelnotary.local/3f9a``.
        as_of: the time the facts were true; the only time the document and its metadata carry.
        decisions: decisions on this model version, oldest first; the last one is the standing one.
    """

    report_id: str
    instance: str
    as_of: str
    cover: Cover
    summary: Summary
    lineage: tuple[LineageStep, ...]
    ledger: Ledger
    limitations: tuple[str, ...]
    performance: Performance | None = None
    explanation: Explanation | None = None
    bias: tuple[BiasAssessment, ...] = ()
    decisions: tuple[Decision, ...] = ()
    approvals: tuple[Approval, ...] = ()
    access: AccessSummary | None = None
