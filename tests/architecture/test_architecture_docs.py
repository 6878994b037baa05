"""What the documentation names is there: links, files, tests, code, commands, variables, vocabularies."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from docs_pages import DOCS, PAGES, fences, prose, shell_script, spans

from config.embedded import CHECKOUT
from config.embedded.installation import Installation
from governance.evidence.registry import installed_types
from governance.policy.evaluation import Outcome, ReasonCode
from governance.policy.facts import fact_types
from modelnotary.verify.steps import LOG_STEPS, STEPS

PACKAGES = ("audit", "config", "explain", "governance", "modelnotary", "reports")

_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_PATH = re.compile(r"\b(?:[\w-]+/)+[\w.-]+\.(?:py|md|ya?ml|toml|sh|csv)\b")
_NAME = re.compile(rf"(?<![/\w.])(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
_FOREIGN = re.compile(r"/(?:work|root|home|tmp)/|pypi\.or[g]|pythonhoste[d]", re.IGNORECASE)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))


# --- Links and names --------------------------------------------------------------------------------------------------
@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in _LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists() or (anchor and anchor not in anchors(goal)):
            broken.append(target)
    assert broken == []


@every_page
def test_files_named_exist(page: Path) -> None:
    places = (CHECKOUT, page.parent)
    missing = [
        name
        for span in spans(page)
        for name in _PATH.findall(span)
        for top in (name.split("/")[0],)
        if top != "var"
        and any((place / top).is_dir() for place in places)
        and not any((place / name).exists() for place in places)
    ]
    assert missing == []


@pytest.mark.parametrize("page", ["threat-model.md", "faults.md"])
def test_each_test_that_a_page_names_exists_once(page: str) -> None:
    sources = [path.read_text(encoding="utf-8") for path in (CHECKOUT / "tests").rglob("test_*.py")]
    defined = [name for source in sources for name in re.findall(r"^def (test_\w+)\(", source, re.MULTILINE)]
    named = [span for span in spans(DOCS / page) if span.startswith("test_")]
    assert len(named) > 30
    assert [name for name in named if defined.count(name) != 1] == []


@every_page
def test_names_of_the_code_exist(page: Path) -> None:
    names = {name for span in spans(page) for name in _NAME.findall(span)}
    assert [name for name in sorted(names) if not name.endswith((".json", ".py")) and not is_defined(name)] == []


def is_defined(name: str) -> bool:
    """Whether a dotted name is a module, or a name defined at the top of one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        base = CHECKOUT.joinpath(*parts[:length])
        module = base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"
        if module.exists():
            return length == len(parts) or parts[length] in top_level_names(module)
    return False


def top_level_names(module: Path) -> set[str]:
    found = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=str(name)) | ast.ClassDef(name=str(name)):
                found.add(name)
            case ast.Assign(targets=targets):
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
            case _:
                pass
    return found


@every_page
def test_nothing_belongs_to_one_machine(page: Path) -> None:
    assert _FOREIGN.findall(page.read_text(encoding="utf-8")) == []


# --- Procedures -------------------------------------------------------------------------------------------------------
_SECTION = re.compile(r"^### [^\n]*`(modelnotary/verify/\w+\.py)`\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
PROCEDURES = _SECTION.findall(prose(DOCS / "verify-offline.md"))


def steps(text: str) -> list[str]:
    """The numbered steps of a text, each on one line."""
    found = re.findall(r"^(\d+\.\s.+(?:\n[ ]+\S.*)*)", text, re.MULTILINE)
    return [" ".join(step.split()) for step in found]


def test_all_procedures_are_documented() -> None:
    assert len(PROCEDURES) == 9


@pytest.mark.parametrize(("module", "section"), PROCEDURES, ids=[module for module, _ in PROCEDURES])
def test_a_documented_procedure_is_the_codes_own(module: str, section: str) -> None:
    stated = ast.get_docstring(ast.parse((CHECKOUT / module).read_text(encoding="utf-8")), clean=False)
    assert steps(section) == steps(stated or "") != []


@pytest.mark.parametrize(("module", "section"), PROCEDURES, ids=[module for module, _ in PROCEDURES])
def test_the_code_carries_the_number_of_each_step_and_no_other(module: str, section: str) -> None:
    code = (CHECKOUT / module).read_text(encoding="utf-8")
    carried = [
        number for mark in re.findall(r"  # (\d+(?:, \d+)*)$", code, re.MULTILINE) for number in mark.split(", ")
    ]
    assert sorted(map(int, carried)) == list(range(1, len(steps(section)) + 1))


PRINTED = {"bundle": "bundle", "log_export": "log", "log_archive": "archive"}


@pytest.mark.parametrize(("module", "section"), PROCEDURES, ids=[module for module, _ in PROCEDURES])
def test_what_is_printed_names_every_step_and_no_other(module: str, section: str) -> None:
    """The procedures of all paths together and of receipts are parts of others, whose checks carry their numbers."""
    kind = PRINTED.get(Path(module).stem, Path(module).stem)
    if kind in {"procedure", "receipts"}:
        assert kind not in STEPS
        return
    checks = [*STEPS[kind].values(), *LOG_STEPS.get(kind, {}).values()]
    assert {number for numbers in checks for number in numbers} == set(range(1, len(steps(section)) + 1))


# --- Commands ---------------------------------------------------------------------------------------------------------
def commands(page: Path) -> Iterator[list[str]]:
    """The command lines of a page, in words: of its shell blocks, and those set in code within its sentences."""
    for line in (*shell_script(page).splitlines(), *spans(page)):
        yield line.split("#")[0].split()


@every_page
def test_make_targets_named_exist(page: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for words in commands(page) if words[:1] == ["make"] for word in words[1:] if word.islower()}
    assert {word for word in named if re.fullmatch(r"[a-z-]+", word)} <= known


@every_page
def test_management_commands_named_exist(page: Path) -> None:
    own = {path.stem for path in CHECKOUT.glob("*/management/commands/*.py")}
    named = {
        words[place + 1]
        for words in commands(page)
        for place, word in enumerate(words[:-1])
        if word.endswith("manage.py")
    }
    assert named <= own | {"migrate", "changepassword"}


# --- Variables and vocabularies ---------------------------------------------------------------------------------------
def variables_read() -> set[str]:
    """The names that the settings and the embedded services read from the environment, or give to processes."""
    names = set(Installation().environment(Path()))
    for path in (CHECKOUT / "config").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names |= set(variables_of(node))
    return {name for name in names if _VARIABLE.fullmatch(name)} - {"PATH"}


def variables_of(node: ast.AST) -> Iterator[str]:
    """The variable that a call or a subscript reads, if it is one that reads a variable."""
    match node:
        case ast.Call(func=ast.Name(id=reader), args=[ast.Constant(value=str(name)), *_]) if reader.startswith("env_"):
            yield name
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(attr="environ"), attr="get" | "setdefault"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            yield name
        case ast.Subscript(value=ast.Name(id="environment"), slice=ast.Constant(value=str(name))):
            yield name
        case _:
            pass


def test_every_variable_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| (`[A-Z][^|]+) \|", (DOCS / "configuration.md").read_text(encoding="utf-8"), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(rf"`({_VARIABLE.pattern})`", row)}
    clients = {"MODELNOTARY_SERVER", "MODELNOTARY_TOKEN"}
    assert documented == variables_read() | clients


def enumeration(path: str, name: str) -> set[str]:
    """The values of an enumeration, read from its source, because these tests run without Django."""
    tree = ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    values = (node.value for node in found.body if isinstance(node, ast.Assign))
    pairs = (value.elts[0] for value in values if isinstance(value, ast.Tuple))
    singles = (node.value for node in found.body if isinstance(node, ast.Assign))
    return {item.value for item in (*pairs, *singles) if isinstance(item, ast.Constant) and isinstance(item.value, str)}


def gate_reasons() -> set[str]:
    """Why the gate does not allow, beside the states of decisions."""
    source = (CHECKOUT / "governance" / "selectors" / "gate.py").read_text(encoding="utf-8")
    return set(re.findall(r'(?:return |Assertion\(False, )"([a-z]+(?:-[a-z]+)+)"', source))


# Those of the model and of what the product measures; GET /evidence-types lists them all.
MEASURED_FACTS = ("model.", "system.", "bias.", "explanation.")
VOCABULARIES: dict[str, tuple[str, set[str]]] = {
    "reasons of the gate": ("life-of-a-decision.md", gate_reasons()),
    "facts": ("policies.md", {name for name in fact_types() if name.startswith(MEASURED_FACTS)}),
    "types of evidence": ("evidence.md", set(installed_types())),
    "reasons": ("policies.md", {code.value for code in ReasonCode}),
    "outcomes": ("policies.md", {outcome.value for outcome in Outcome}),
    "roles of a policy": ("policies.md", enumeration("governance/enums.py", "Role")),
    "roles": ("accounts.md", enumeration("governance/enums.py", "Role")),
    "scopes": ("accounts.md", enumeration("governance/enums.py", "Scope")),
    "lineage events": ("life-of-an-event.md", enumeration("audit/enums.py", "LineageEvent")),
    "access events": ("life-of-an-event.md", enumeration("audit/enums.py", "AccessEvent")),
}


@pytest.mark.parametrize("what", VOCABULARIES)
def test_closed_vocabularies_are_documented_whole(what: str) -> None:
    page, words = VOCABULARIES[what]
    assert len(words) > 3
    assert words - set(spans(DOCS / page)) == set()


def test_the_tests_above_have_something_to_look_at() -> None:
    assert len(PAGES) > 20
    assert sum(len(_LINK.findall(prose(page))) for page in PAGES) > 50
    assert sum(len(fences(page)) for page in PAGES) > 30
