"""What the Docker files promise, read from them; docs/docker.md says what was run."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from string import Template

import pytest
import yaml
from jsonschema.validators import validator_for

from local.containers import read_settings
from local.settings import ROOT, Hosts, Settings, SettingsError

pytestmark = pytest.mark.unit

COMPOSE_FILE = (ROOT / "docker-compose.yaml").read_text()
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / ".env.example").read_text().splitlines()
    if line and not line.startswith("#")
)
SECRETS = {name for name in EXAMPLE if re.search(r"PASSWORD|SECRET|_KEY$", name)}
CONNECTIONS = ("AIRFLOW_CONN_AWS_DEFAULT", "AIRFLOW_CONN_REDSHIFT_DEFAULT", "AIRFLOW_CONN_SPARKIFY_PAGE")
ONE_SHOTS = {"migrate", "demo"}
#: ${NAME}, ${NAME:-default} or ${NAME:?message}; a $$ is a dollar of the container's shell.
REFERENCES = set(re.findall(r"(?<!\$)\$\{(\w+)(?:(:[-?])([^}]*))?\}", COMPOSE_FILE))


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(COMPOSE_FILE)


@pytest.fixture(scope="module")
def services(compose):
    return compose["services"]


def running(services, *profiles):
    return {name for name, s in services.items() if not s.get("profiles") or {*s["profiles"]} & {*profiles}}


def test_the_compose_file_is_of_the_compose_specification(compose):
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    assert [f"{e.json_path}: {e.message}" for e in validator_for(schema)(schema).iter_errors(compose)] == []


def test_every_variable_is_in_the_example_and_in_the_document():
    document = (ROOT / "docs" / "docker.md").read_text()
    used = {name for name, _, _ in REFERENCES}
    assert used <= EXAMPLE.keys()
    assert [name for name in EXAMPLE if f"`{name}`" not in document] == []


def test_a_default_of_the_compose_file_is_the_one_of_the_example():
    assert [r for r in REFERENCES if r[1] == ":-" and EXAMPLE[r[0]] != r[2]] == []


def test_no_secret_has_a_default():
    assert {name: EXAMPLE[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")
    assert {(name, operator) for name, operator, _ in REFERENCES if name in SECRETS} == {
        (name, ":?") for name in SECRETS - {"S3_PASSWORD", "REDSHIFT_PASSWORD", "PAGE_PASSWORD"}
    }, "the stand-ins refuse to start without theirs: AWS needs none"


#: Which container has which secret; those of the stand-ins are in the connections.
LAKE, WAREHOUSE, PAGE = "S3_PASSWORD", "REDSHIFT_PASSWORD", "PAGE_PASSWORD"
FERNET, JWT, SESSIONS = (
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
)
HELD = {
    "postgres": {"POSTGRES_PASSWORD"},
    "redis": {"REDIS_PASSWORD"},
    "migrate": {"POSTGRES_PASSWORD"},
    "api-server": {"POSTGRES_PASSWORD", "UI_PASSWORD", FERNET, JWT, SESSIONS, LAKE, WAREHOUSE, PAGE},
    "scheduler": {"POSTGRES_PASSWORD", "REDIS_PASSWORD", FERNET, JWT, LAKE, WAREHOUSE, PAGE},
    "dag-processor": {"POSTGRES_PASSWORD", FERNET},
    "triggerer": {"POSTGRES_PASSWORD", FERNET, LAKE, WAREHOUSE, PAGE},
    "worker": {"POSTGRES_PASSWORD", "REDIS_PASSWORD", SESSIONS, LAKE, WAREHOUSE, PAGE},
    "s3": {LAKE},
    "redshift": {LAKE, WAREHOUSE, PAGE},
    "generator": {LAKE},
    "demo": {LAKE, WAREHOUSE, PAGE, "UI_PASSWORD"},
}


def resolved(text: str, environ: dict[str, str]) -> str:
    """As Compose does, but for defaults."""
    return re.sub(r"(?<!\$)\$\{(\w+)[^}]*\}", lambda match: environ[match[1]], text)


def secrets_in(text: str) -> set[str]:
    return {name for name in SECRETS if re.search(rf"pw-{name}\b", text)}


def test_each_container_has_only_its_own_secrets(services, environ):
    held = {}
    for name, service in services.items():
        values = {**environ} if "env_file" in service else {}
        values |= {key: resolved(value, environ) for key, value in service.get("environment", {}).items()}
        held[name] = secrets_in(json.dumps(values))
    assert held == HELD


def test_every_secret_is_taken_back_from_those_who_read_all_of_the_file(compose):
    assert compose["x-no-secrets"].keys() == SECRETS | {
        "AIRFLOW_CONN_AWS_DEFAULT", "AIRFLOW_CONN_REDSHIFT_DEFAULT", "AIRFLOW_CONN_SPARKIFY_PAGE"
    }  # fmt: skip


def test_no_command_holds_a_secret(services, environ):
    for name, service in services.items():
        told = json.dumps([service.get("command", ""), service.get("healthcheck", {})])
        assert secrets_in(resolved(told, environ)) == set(), name


def test_ports_are_published_on_loopback_alone(services):
    ports = {port for service in services.values() for port in service.get("ports", [])}
    assert len(ports) == 3
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_part_that_stays_restarts_and_tells_its_health(services):
    for name, service in services.items():
        if name not in ONE_SHOTS:
            assert service.get("restart") == "unless-stopped", name
            assert service.get("healthcheck", {}).get("test"), name


def test_state_is_in_named_volumes(compose, services):
    mounted = {volume.partition(":")[0] for s in services.values() for volume in s.get("volumes", [])}
    assert mounted == set(compose["volumes"])


def test_profiles_choose_what_runs(services):
    airflow = {"postgres", "migrate", "api-server", "scheduler", "dag-processor", "triggerer"}
    assert running(services, "aws") == airflow
    assert running(services, "aws", "celery") == airflow | {"redis", "worker"}
    assert running(services, "stand-ins") == airflow | {"s3", "redshift"}
    assert running(services, "demo") == airflow | {"s3", "redshift", "demo", "generator"}


def test_nothing_waits_for_a_part_that_its_profile_leaves_out(services):
    for profile in ("aws", "celery", "stand-ins", "demo"):
        there = running(services, profile)
        for name in there:
            assert set(services[name].get("depends_on", {})) <= there, f"{name} in {profile}"


def test_the_image_has_the_airflow_of_the_requirements():
    (version,) = re.findall(
        r"^ARG AIRFLOW_IMAGE=apache/airflow:([^@\n]+)(?:@sha256:[0-9a-f]{64})?$",
        (ROOT / "Dockerfile").read_text(),
        re.MULTILINE,
    )
    assert f"apache-airflow=={version}\n" in (ROOT / "requirements.in").read_text()


def test_what_the_dockerfile_copies_is_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = set(
        re.findall(r"^COPY --chown=airflow:0 (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    )
    assert copied == allowed


@pytest.fixture
def environ():
    """The example's variables with secrets, resolved as Compose does."""
    filled = {**EXAMPLE, **{name: f"pw-{name}" for name in SECRETS}}
    return {name: Template(value).safe_substitute(filled) for name, value in filled.items()}


def test_the_containers_are_where_the_connections_lead(environ, services):
    settings = read_settings(environ)
    assert settings.hosts == Hosts(ui="api-server", s3="s3", redshift="redshift")
    assert {"s3", "redshift", "api-server"} <= services.keys()
    assert settings.ui_url == "http://api-server:8080"
    assert settings.s3_url == "http://s3:9000"
    assert settings.credentials.redshift_password == "pw-REDSHIFT_PASSWORD"
    assert settings.credentials.page_password == "pw-PAGE_PASSWORD"
    assert read_settings({**environ, "AIRFLOW_CONN_SPARKIFY_PAGE": ""}).credentials.page_password == ""
    assert settings.credentials.aws_secret_access_key == "pw-S3_PASSWORD"


def test_the_connections_are_those_of_the_laptop_but_for_hosts_and_passwords(environ, tmp_path):
    laptop = Settings.load({"SPARKIFY_STATE": str(tmp_path)}).environment()
    assert environ["AIRFLOW_VAR_SPARKIFY_READERS"] == laptop["AIRFLOW_VAR_SPARKIFY_READERS"]
    for name in CONNECTIONS:
        here, there = json.loads(environ[name]), json.loads(laptop[name])
        for connection in (here, there):
            for part in ("host", "login", "password"):
                connection.pop(part, None)
            connection["extra"].pop("endpoint_url", None)
        assert here == there


def test_the_lake_needs_no_connection_to_the_warehouse(environ):
    settings = read_settings(environ | {"AIRFLOW_CONN_REDSHIFT_DEFAULT": ""}, lake_alone=True)
    assert settings.s3_url == "http://s3:9000"
    assert settings.credentials.aws_secret_access_key == "pw-S3_PASSWORD"


@pytest.mark.parametrize("missing", ["S3_PASSWORD", "REDSHIFT_PASSWORD"])
def test_a_stand_in_without_a_password_does_not_start(environ, missing):
    unset = {name: value.replace(f"pw-{missing}", "") for name, value in environ.items()}
    with pytest.raises(SettingsError, match="has no password, which the stand-in requires"):
        read_settings(unset)


def test_a_stand_in_for_a_connection_to_aws_does_not_start(environ):
    environ["AIRFLOW_CONN_AWS_DEFAULT"] = '{"conn_type": "aws", "login": "AKIA", "password": "secret"}'
    with pytest.raises(SettingsError, match="points to AWS"):
        read_settings(environ)
