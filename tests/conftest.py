"""What many tests share: a real PostgreSQL with a database of one's own, the whole product, a browser.

Each test process takes a folder ``var/test/N`` of its own for its servers and keeps it locked while it lives:
any number of them run at once and none meets another's data.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from pytest_django.plugin import DjangoDbBlocker, blocking_manager_key
from xdist.scheduler import LoadFileScheduling

from config.embedded import CHECKOUT, EmbeddedServices
from config.stack import Stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

TESTS = Path(__file__).parent
# These start faster without Django, and prove that what they test does not need it.
DJANGO_FREE = ("architecture", "config", "examples", "explain", "modelnotary", "outside", "reports")
BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@cache
def services() -> EmbeddedServices:
    """This test process's own services, not yet started."""
    for number in count():
        home = CHECKOUT / "var" / "test" / str(number)
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / "in-use", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        # The lock is never closed: it goes when the process does, however it ends.
        return EmbeddedServices(home)
    raise AssertionError("unreachable")


@cache
def django_ready(config: pytest.Config) -> None:
    """Set Django up on this process's services; no query may run until a test asks for a database."""
    os.environ.update(services().environment(), DJANGO_SETTINGS_MODULE="config.settings")
    import django
    from django.conf import settings

    django.setup()
    # A million rounds for each of hundreds of people would take minutes; how passwords are kept is Django's own.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    config.stash[blocking_manager_key].block()


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> None:
    if module_path.relative_to(TESTS).parts[0] not in DJANGO_FREE:
        django_ready(parent.config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what starts the whole product: it waits a good deal, and begun last it would run alone."""
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (not starts_the_product(item.path), -sizes[item.path], item.path))


@cache
def starts_the_product(file: Path) -> bool:
    """Whether a file of tests runs all processes of the product."""
    return "pytest.mark.stack" in file.read_text(encoding="utf-8")


class Sharing(LoadFileScheduling):  # type: ignore[misc]  # it publishes no types
    """Gives each test process whole files, and all that start the product to the same one, one after the other.

    Two products that start at once would keep two processors from everything else.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "stack" if starts_the_product(CHECKOUT / file) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    return Sharing(config, log)


@dataclass(frozen=True)
class Database:
    """A migrated database that no other test module sees. What tests write is committed and stays.

    Attributes:
        name: Its name.
        environment: Variables for child processes that are to work on it.
        superuser_url: Address for a role that no process of the product has.
    """

    name: str
    environment: dict[str, str]
    superuser_url: str


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedServices]:
    """Running servers without Django."""
    services().start()
    yield services()
    services().stop()


@pytest.fixture(scope="session")
def template(cluster: EmbeddedServices) -> str:
    """Name of a database with all migrations applied; kept between runs until they change."""
    name = f"template_{_schema_digest()}"
    with psycopg.connect(cluster.superuser_url("postgres"), autocommit=True) as connection:
        kept = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for leftover in kept - {name, "postgres", "template0", "template1", "modelnotary"}:
            cluster.drop_database(leftover)
        if name not in kept:
            cluster.create_database("unfinished")
            migrate(cluster.environment("unfinished"))
            connection.execute(sql.SQL("ALTER DATABASE unfinished RENAME TO {}").format(sql.Identifier(name)))
    return name


@pytest.fixture(scope="module")
def database(
    cluster: EmbeddedServices,
    template: str,
    django_db_blocker: DjangoDbBlocker,
    request: pytest.FixtureRequest,
) -> Iterator[Database]:
    """A database of this test module's own, to which Django is connected."""
    django_ready(request.config)
    name = f"test_{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}"
    cluster.create_database(name, template)
    environment = cluster.environment(name)
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        _connect_django(patch, name, environment)
        _subject_keys_create()
        yield Database(name, environment, cluster.superuser_url(name))
        _disconnect_django()
    cluster.drop_database(name)


@pytest.fixture(scope="session")
def keys(request: pytest.FixtureRequest) -> Path:
    """Folder with the installation's signing keys, made once; the trust file that names them lies beside it."""
    django_ready(request.config)
    from django.conf import settings
    from django.core.management import call_command

    call_command("keys_create", verbosity=0)
    return Path(settings.KEYS_DIR)


@pytest.fixture(scope="module")
def keyless_signer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a signer that has signed nothing and cannot: with it a sequencer orders events, and no more."""
    django_ready(request.config)
    from ledger_driver import signer_without_keys

    with signer_without_keys(tmp_path_factory.mktemp("signer")) as address:
        yield address


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole product, all processes running, on an empty database of its own."""
    home = services().home / "stack"
    running = Stack(home, say=lambda _line: None)
    running.down()
    shutil.rmtree(home)
    running.up()
    yield running
    running.down()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of an installed browser. With REQUIRE_BROWSER=1 its absence is a failure, else a skip."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    reason = f"NO BROWSER: none of {', '.join(BROWSERS)} found, so no page is tested (apt install chromium)"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator["Browser"]:
    """The browser, started."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(BROWSER_ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture
def window(browser: "Browser", stack: Stack) -> Iterator["BrowserContext"]:
    """A browser without cookies in which a fault of a page's script fails the test."""
    address = stack.services.environment()["PUBLIC_URL"]
    context = browser.new_context(base_url=address, viewport={"width": 1440, "height": 900})
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield context
    context.close()
    assert not faults


def _schema_digest() -> str:
    """Digest of all that decides what a migrated database holds."""
    rooms = [path for app in ("audit", "governance", "explain", "reports") for path in _schema_files(CHECKOUT / app)]
    digest = hashlib.sha256()
    for path in (CHECKOUT / "requirements.lock", CHECKOUT / "config" / "settings.py", *sorted(rooms)):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _schema_files(app: Path) -> list[Path]:
    files = [path for room in ("migrations", "models") for path in (app / room).rglob("*") if path.suffix != ".pyc"]
    return [path for path in (*files, app / "models.py") if path.is_file()]


def migrate(environment: dict[str, str]) -> None:
    """Bring the database of this environment and its roles up to date."""
    for name in ("migrate", "roles_apply"):
        subprocess.run(
            [sys.executable, "manage.py", name],
            cwd=CHECKOUT,
            env=os.environ | environment | {"DJANGO_DATABASE_ROLE": "migrator"},
            check=True,
            capture_output=True,
            text=True,
        )


def _connect_django(patch: pytest.MonkeyPatch, name: str, environment: dict[str, str]) -> None:
    from django.conf import settings
    from django.db import connections

    _disconnect_django()
    for variable, value in environment.items():
        patch.setenv(variable, value)
        if variable in settings.ROLE_DATABASE_URLS:
            patch.setitem(settings.ROLE_DATABASE_URLS, variable, value)
    for alias in connections:
        patch.setitem(connections.settings[alias], "NAME", name)
        # The ports may have moved since the settings were read.
        patch.setitem(connections.settings[alias], "PORT", _port(environment))


def _subject_keys_create() -> None:
    from django.conf import settings

    from audit.subject_keys import key_ring_create

    key_ring_create(settings.SUBJECT_KEYS_FILE)


def _port(environment: dict[str, str]) -> int:
    from urllib.parse import urlsplit

    port = urlsplit(environment["DATABASE_URL"]).port
    assert port is not None
    return port


def _disconnect_django() -> None:
    from django.db import connections

    connections.close_all()
