import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config import supervisor
from config.embedded import (
    CHECKOUT,
    EmbeddedServices,
    InstallationDamagedError,
    RootRefusedError,
    privileges,
)
from config.embedded.errors import CopyFailedError, StartFailedError
from config.embedded.installation import Installation
from config.embedded.postgres import Postgres
from config.embedded.privileges import Guise, become_nobody, user_namespace

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@pytest.fixture(scope="module")
def new_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., EmbeddedServices]]:
    """Makes services in new folders and stops them all at the end."""
    made = []
    numbers = count()

    def make(home: Path | None = None) -> EmbeddedServices:
        made.append(EmbeddedServices(home or tmp_path_factory.mktemp(f"home {next(numbers)}") / "var"))
        return made[-1]

    yield make
    for services in made:
        services.stop()


@pytest.fixture(scope="module")
def running(new_services: Callable[..., EmbeddedServices]) -> EmbeddedServices:
    """Services shared by the tests that leave them as they are."""
    services = new_services()
    services.start()
    return services


def query(url: str, text: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(text.encode()).fetchone()
    assert row is not None
    return row[0]


def ping(environment: dict[str, str]) -> bool:
    with redis.Redis.from_url(environment["BROKER_URL"]) as client:
        return bool(client.ping())


def processes_of(services: EmbeddedServices) -> list[psutil.Process]:
    """All processes that work in the home folder or were started with a path in it."""
    home = str(services.home)

    def belongs(process: psutil.Process) -> bool:
        try:
            return process.cwd().startswith(home) or any(home in word for word in process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    return [process for process in psutil.process_iter() if belongs(process)]


def pids(services: EmbeddedServices) -> set[int]:
    return {process.pid for process in processes_of(services)}


def kill_all(services: EmbeddedServices) -> None:
    victims = processes_of(services)
    assert len(victims) > 2, "PostgreSQL has several processes and Valkey one"
    for process in victims:
        process.kill()
    psutil.wait_procs(victims, timeout=10)


def test_an_installation_from_before_a_role_existed_gets_a_password_for_it(tmp_path: Path) -> None:
    path, before = tmp_path / "installation.json", Installation()
    passwords = {role: secret for role, secret in before.role_passwords.items() if role != "mn_archiver"}
    replace(before, role_passwords=passwords).save(path)
    grown = Installation.load_or_create(path)
    assert len(grown.role_passwords["mn_archiver"]) > 30
    assert grown.role_passwords.items() > passwords.items()
    assert replace(grown, role_passwords=before.role_passwords) == before
    assert Installation.load_or_create(path) == grown


def test_services_answer_from_a_deep_folder_with_spaces(
    new_services: Callable[..., EmbeddedServices], tmp_path: Path
) -> None:
    services = new_services(tmp_path / "a folder with spaces" / ("d" * 80) / ("e" * 80) / "var")
    environment = services.start()
    assert str(query(environment["MIGRATION_DATABASE_URL"], "SHOW server_version")).startswith("18")
    assert query(environment["MIGRATION_DATABASE_URL"], "SELECT current_user") == "mn_migrator"
    assert query(environment["MIGRATION_DATABASE_URL"], "SHOW fsync") == "on"
    assert ping(environment)


def test_first_starts_at_the_same_moment_in_two_folders_do_not_meet_on_the_same_ports(
    new_services: Callable[..., EmbeddedServices],
) -> None:
    pair = [new_services(), new_services()]
    ports = Installation().ports
    for services in pair:
        replace(Installation(), ports=ports).save(services.home / "secrets" / "installation.json")
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(EmbeddedServices.start, pair)
    assert first["SECRET_KEY"] != second["SECRET_KEY"]
    for name in ("DATABASE_URL", "BROKER_URL"):
        assert urlsplit(first[name]).port != urlsplit(second[name]).port
    for services, environment in zip(pair, (first, second), strict=True):
        assert query(services.superuser_url(), "SHOW data_directory") == str(services.home / "postgres" / "data")
        assert ping(environment)


def test_racing_first_starts_in_one_folder_make_one_installation(
    new_services: Callable[..., EmbeddedServices],
) -> None:
    services = new_services()
    program = (
        "import json, sys; from pathlib import Path; from config.embedded import EmbeddedServices; "
        "print(json.dumps(EmbeddedServices(Path(sys.argv[1])).start()))"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", program, services.home], cwd=CHECKOUT, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    answers = [json.loads(racer.communicate(timeout=60)[0]) for racer in racers]
    assert answers[0] == answers[1] == answers[2] == services.environment()
    names = [process.name() for process in processes_of(services) if process.ppid() not in pids(services)]
    assert sorted(names) == ["postgres", "valkey-server"]


def test_committed_rows_survive_kill_9_and_everything_starts_again(
    new_services: Callable[..., EmbeddedServices],
) -> None:
    services = new_services()
    before = services.start()
    with psycopg.connect(before["MIGRATION_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    kill_all(services)
    assert not any(services.status().values())
    pid_file = services.home / "postgres" / "data" / "postmaster.pid"
    # The dead server's pid now belongs to somebody else who is alive: to us.
    pid_file.write_text(pid_file.read_text().replace(pid_file.read_text().split("\n", 1)[0], str(os.getpid()), 1))

    after = services.start()

    assert after == before
    assert query(after["MIGRATION_DATABASE_URL"], "SELECT value FROM kept") == 7
    assert ping(after)


def test_ports_taken_meanwhile_are_replaced_and_nothing_else_changes(
    new_services: Callable[..., EmbeddedServices],
) -> None:
    services = new_services()
    before = services.start()
    services.stop()
    with (
        socket.create_server(("127.0.0.1", urlsplit(before["DATABASE_URL"]).port or 0)),
        socket.create_server(("127.0.0.1", urlsplit(before["BROKER_URL"]).port or 0)),
    ):
        after = services.start()
        assert query(after["MIGRATION_DATABASE_URL"], "SELECT 1") == 1
        assert ping(after)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if name.endswith("DATABASE_URL")} | {"BROKER_URL"}
    assert services.environment() == after


def test_stop_leaves_nothing_running_and_start_brings_it_back(
    new_services: Callable[..., EmbeddedServices],
) -> None:
    services = new_services()
    environment = services.start()
    assert services.status() == {"postgres": True, "valkey": True}
    services.stop()
    assert processes_of(services) == []
    assert services.status() == {"postgres": False, "valkey": False}
    assert services.start() == environment


def test_a_killed_valkey_is_started_again_beside_the_running_database(
    new_services: Callable[..., EmbeddedServices],
) -> None:
    services = new_services()
    environment = services.start()
    (valkey,) = (process for process in processes_of(services) if "valkey" in process.name())
    started = query(environment["MIGRATION_DATABASE_URL"], "SELECT pg_postmaster_start_time()::text")
    valkey.kill()
    valkey.wait(timeout=10)
    assert services.status() == {"postgres": True, "valkey": False}
    services.start()
    assert ping(environment)
    again = query(environment["MIGRATION_DATABASE_URL"], "SELECT pg_postmaster_start_time()::text")
    assert again == started


def test_a_creation_cut_short_is_begun_anew(new_services: Callable[..., EmbeddedServices]) -> None:
    services = new_services()
    unfinished = services.home / "postgres" / "unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18")
    environment = services.start()
    assert query(environment["MIGRATION_DATABASE_URL"], "SELECT 1") == 1


def test_a_database_that_is_gone_again_as_soon_as_it_answers_is_a_start_that_failed(
    new_services: Callable[..., EmbeddedServices], monkeypatch: pytest.MonkeyPatch
) -> None:
    services, start = new_services(), Postgres.start

    def start_and_die(postgres: Postgres, installation: Installation) -> bool:
        answered = start(postgres, installation)
        postgres.stop()
        return answered

    with monkeypatch.context() as patch:
        patch.setattr(Postgres, "start", start_and_die)
        with pytest.raises(StartFailedError, match="gone again"):
            services.start()
    services.start()
    assert all(services.status().values())


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), StartFailedError("postgres", Path("postgres.log"), "x")]
)
def test_the_supervisor_outlives_a_service_that_does_not_start(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_services: EmbeddedServices) -> None:
        raise error

    monkeypatch.setattr(EmbeddedServices, "start", fail)
    before = {"DATABASE_URL": "as it was"}
    assert supervisor._services_restarted(EmbeddedServices(tmp_path), before) == before
    assert str(error) in caplog.text


def test_servers_listen_on_loopback_only(running: EmbeddedServices) -> None:
    listening = [
        (connection.laddr, process.name())
        for process in processes_of(running)
        for connection in process.net_connections("all")
        if connection.status == psutil.CONN_LISTEN or connection.family == socket.AF_UNIX
    ]
    ports = {urlsplit(running.environment()[name]).port for name in ("DATABASE_URL", "BROKER_URL")}
    assert {address.port for address, _ in listening} == ports
    assert {address.ip for address, _ in listening} == {"127.0.0.1"}


@pytest.mark.parametrize("password", ["", ":wrong"])
@pytest.mark.parametrize("role", ["postgres", "mn_migrator"])
def test_database_roles_need_their_own_password(running: EmbeddedServices, role: str, password: str) -> None:
    port = urlsplit(running.environment()["DATABASE_URL"]).port
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://{role}{password}@127.0.0.1:{port}/modelnotary")


def test_the_broker_needs_its_password(running: EmbeddedServices) -> None:
    port = urlsplit(running.environment()["BROKER_URL"]).port or 0
    with (
        redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_secrets_are_readable_by_their_owner_only_and_not_on_any_command_line(
    running: EmbeddedServices,
) -> None:
    kept = running.home / "secrets" / "installation.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert (running.home / "valkey" / "valkey.conf").stat().st_mode & 0o777 == 0o600
    installation = json.loads(kept.read_text())
    secrets = [installation["broker_password"], *installation["role_passwords"].values()]
    shown = " ".join(word for process in processes_of(running) for word in process.cmdline())
    assert not [secret for secret in secrets if secret in shown]
    assert not (running.home / "postgres" / "initial-password").exists()


def test_a_copied_database_has_the_rows_and_the_rights_of_its_template(running: EmbeddedServices) -> None:
    running.create_database("original")
    with psycopg.connect(running.superuser_url("original"), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        connection.execute("REVOKE ALL ON DATABASE original FROM PUBLIC")
        connection.execute("GRANT TEMPORARY ON DATABASE original TO pg_monitor WITH GRANT OPTION")
    running.create_database("copy", template="original")
    assert query(running.superuser_url("copy"), "SELECT value FROM kept") == 7
    rights = "SELECT array_to_string(datacl, ' ') FROM pg_database WHERE datname = '{}'"
    original, copy = (query(running.superuser_url(), rights.format(name)) for name in ("original", "copy"))
    assert str(original).replace("T*", "T") == copy
    running.drop_database("copy")
    running.drop_database("copy")


def test_a_database_in_use_is_copied_with_rows_owners_and_rights(running: EmbeddedServices) -> None:
    running.create_database("busy")
    with psycopg.connect(running.superuser_url("busy"), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        connection.execute("ALTER TABLE kept OWNER TO mn_migrator")
        connection.execute("GRANT SELECT ON kept TO pg_monitor")
        for _ in range(2):
            running.copy_database("busy", "backup")
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'kept'"
    assert query(running.superuser_url("backup"), owner) == "mn_migrator"
    assert query(running.superuser_url("backup"), "SELECT has_table_privilege('pg_monitor', 'kept', 'SELECT')") is True
    assert query(running.superuser_url("backup"), "SELECT value FROM kept") == 7


def test_a_database_that_does_not_exist_cannot_be_copied(running: EmbeddedServices) -> None:
    with pytest.raises(CopyFailedError, match=r'pg_dump could not copy .*"absent" does not exist'):
        running.copy_database("absent", "copy of absent")


def test_an_installation_without_its_secrets_says_what_to_restore(
    new_services: Callable[..., EmbeddedServices],
) -> None:
    services = new_services()
    services.start()
    services.stop()
    kept = services.home / "secrets" / "installation.json"
    whole = kept.read_text()
    kept.write_text(whole[:40])
    with pytest.raises(InstallationDamagedError, match="Restore the file"):
        services.start()
    kept.unlink()
    with pytest.raises(InstallationDamagedError, match="Restore the secrets"):
        services.start()


@needs_root
@pytest.mark.parametrize("order", [(user_namespace, become_nobody), (become_nobody, user_namespace)])
def test_root_runs_the_same_data_in_either_guise(order: tuple[Callable[[], Guise | None], ...], tmp_path: Path) -> None:
    installation = Installation()
    for candidate in order:
        guise = candidate()
        if guise is None or not privileges._permitted(guise):
            pytest.skip(f"{candidate.__name__} is not permitted on this system")
        server = Postgres(tmp_path / "postgres", tmp_path / "log", guise=lambda guise=guise: guise)  # type: ignore[misc]
        assert server.start(installation)
        assert query(installation.database_url("postgres", "postgres"), "SELECT 1") == 1
        server.stop()
        assert not server.is_running()


@needs_root
def test_an_ordinary_user_runs_the_services_directly() -> None:
    # The capability lets nobody reach an interpreter inside root's home; it changes nothing for the servers.
    become = become_nobody()
    if become is None or not privileges._permitted(become):
        pytest.skip("becoming another user is not permitted on this system")
    program = (
        "import os, sys; from pathlib import Path; from config.embedded import EmbeddedServices; "
        "from config.embedded.privileges import unprivileged_guise; import psycopg; "
        "services = EmbeddedServices(Path(sys.argv[1])); environment = services.start(); "
        "psycopg.connect(environment['MIGRATION_DATABASE_URL']).close(); services.stop(); "
        "print(os.geteuid(), unprivileged_guise().prefix, services.status())"
    )
    home = Path(tempfile.mkdtemp())
    try:
        os.chown(home, become.owner, -1)
        done = subprocess.run(
            [*become.prefix, sys.executable, "-c", program, home / "var"],
            cwd=CHECKOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(home)
    assert done.stdout.strip() == f"{become.owner} () {{'postgres': False, 'valkey': False}}", done.stderr


def test_root_is_told_the_ways_out_where_no_guise_is_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(privileges, "_permitted", lambda _: False)
    with pytest.raises(RootRefusedError, match="DATABASE_URL and BROKER_URL"):
        privileges.unprivileged_guise.__wrapped__()
