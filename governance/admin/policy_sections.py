"""The parts of the pages of policies: rules in words, faults, what changed between texts, what a text would change."""

from difflib import unified_diff

from governance.admin.cells import Cell, badge, link, moment, stack, whole
from governance.admin.sections import Section, Table, Text
from governance.models import Decision, PolicyVersion
from governance.policy.document import PolicyDocument, Rule
from governance.policy.errors import Diagnostic
from governance.policy.simulation import Effect, Simulated
from governance.services.simulation import Trial

_EFFECTS = {
    Effect.SAME: "come out as they did",
    Effect.NEWLY_BLOCKED: "would be denied",
    Effect.NO_LONGER_BLOCKED: "would no longer be denied",
    Effect.UNKNOWN: "cannot be told, because evidence that this text reads was not looked at then",
}


def rules_in_words(policy: PolicyDocument) -> Section:
    """Show each rule."""
    return Table(
        title="Rules",
        columns=("Rule", "Condition", "Expected", "Reads", "When it fails"),
        rows=tuple(
            (
                f"{rule.id}: {rule.title}",
                _condition(rule),
                rule.expected,
                f"{rule.evidence} evidence" if rule.evidence else "the model version",
                rule.remediation,
            )
            for rule in policy.rules
        ),
    )


def _condition(rule: Rule) -> Cell:
    clause = whole(rule.clause.source)
    return stack((clause, "applies when", whole(rule.when.source))) if rule.when else clause


def faults_section(faults: list[Diagnostic]) -> Section:
    """Show every fault of a text with a caret below its place."""
    return Text(title="Faults", text="\n".join(f"{fault}\n{fault.excerpt}".rstrip() for fault in faults))


def difference_section(text: str, before: PolicyVersion | None) -> tuple[Section, ...]:
    """Show what a text changes in the version before it; lines begin with + where added, with - where taken away."""
    if before is None:
        return ()
    lines = unified_diff(before.document.splitlines(), text.splitlines(), str(before), "this text", lineterm="")
    return (Text(title=f"Changes since version {before.number}", text="\n".join(lines) or "Nothing changed."),)


def trial_section(trial: Trial) -> Section:
    """Show for which of the decisions on record a text would change the outcome."""
    said = [f"{number} {_EFFECTS[effect]}" for effect, number in trial.counts.items() if number]
    where = f" in {trial.environment}" if trial.environment else ""
    tried = f"Tried on the newest {len(trial.rows)} decisions{where}, on the facts on record, before signatures"
    return Table(
        title="On past decisions",
        note=f"{tried}: {', '.join(said)}." if said else "There are no decisions that it could be tried on.",
        columns=("Decision", "Made", "Rules gave", "Would give", "Rules that give something else"),
        rows=tuple(_trial_row(decision, result) for decision, result in trial.changed),
        empty="No decision would come out otherwise.",
    )


def _trial_row(decision: Decision, result: Simulated) -> tuple[Cell, ...]:
    unknown = result.effect is Effect.UNKNOWN
    return (
        link(decision),
        moment(decision.evaluated_at),
        badge(result.before, result.before),
        badge("evidence_missing", "unknown") if unknown else badge(result.after, result.after),
        stack(f"{change.id}: {change.message}" for change in result.changes),
    )
