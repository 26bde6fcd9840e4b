import json
import os
import stat
from pathlib import Path

import pytest

from local.settings import Ports, Settings, SettingsError

pytestmark = pytest.mark.unit


@pytest.fixture
def environ(tmp_path):
    return {"SPARKIFY_STATE": str(tmp_path / "state")}


def test_defaults_are_the_documented_ports(environ):
    assert Settings.load(environ).ports == Ports(ui=8080, s3=9000, redshift=5439, postgres=5433)


def test_environment_overrides_the_ports_of_the_last_up_and_those_the_defaults(environ):
    settings = Settings.load(environ)
    settings.ports_file.write_text(json.dumps({"ui": 8081, "s3": 9001}))
    ports = Settings.load({**environ, "SPARKIFY_S3_PORT": "9002"}).ports
    assert (ports.ui, ports.s3, ports.redshift) == (8081, 9002, 5439)


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_none_is_refused_with_its_variable(environ, text):
    with pytest.raises(SettingsError, match=f"SPARKIFY_UI_PORT='{text}' is not a port"):
        Settings.load({**environ, "SPARKIFY_UI_PORT": text})


def test_two_services_on_one_port_are_refused(environ):
    with pytest.raises(SettingsError, match="SPARKIFY_UI_PORT and SPARKIFY_S3_PORT are both 9000"):
        Settings.load({**environ, "SPARKIFY_UI_PORT": "9000"})


def test_credentials_are_made_once_and_only_their_owner_reads_them(environ):
    first = Settings.load(environ)
    assert stat.S_IMODE(first.credentials_file.stat().st_mode) == 0o600
    assert Settings.load(environ).credentials == first.credentials
    assert len(first.credentials.jwt_secret) >= 64


def test_credentials_of_an_earlier_version_are_completed_once(environ):
    settings = Settings.load(environ)
    saved = json.loads(settings.credentials_file.read_text())
    del saved["page_password"]
    settings.credentials_file.write_text(json.dumps(saved))
    completed = Settings.load(environ).credentials
    assert completed.redshift_password == settings.credentials.redshift_password
    assert Settings.load(environ).credentials == completed
    assert stat.S_IMODE(settings.credentials_file.stat().st_mode) == 0o600


@pytest.fixture
def loose(environ):
    """A umask that takes no right away, and the state folder."""
    before = os.umask(0)
    yield Path(environ["SPARKIFY_STATE"])
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_owner_enters_the_state_folder(environ, loose):
    Settings.load(environ)
    assert mode(loose) == 0o700


@pytest.mark.parametrize("rights", [0o755, 0o770, 0o701])
def test_a_state_folder_that_others_could_enter_is_closed(environ, loose, rights):
    loose.mkdir(mode=rights)
    credentials = Settings.load(environ).credentials
    assert mode(loose) == 0o700
    loose.chmod(rights)
    assert Settings.load(environ).credentials == credentials
    assert mode(loose) == 0o700


def test_a_folder_of_something_else_is_not_closed_but_refused(environ, loose):
    loose.mkdir(mode=0o755)
    (loose / "notes.txt").touch()
    with pytest.raises(SettingsError, match=r"Other users can enter .*\n.*chmod 700"):
        Settings.load(environ)
    assert mode(loose) == 0o755
    loose.chmod(0o700)
    Settings.load(environ)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
def test_a_folder_of_another_user_is_refused(environ, loose):
    loose.mkdir(mode=0o700)
    os.chown(loose, 65534, -1)
    with pytest.raises(SettingsError, match="owner 65534"):
        Settings.load(environ)


def test_credentials_do_not_show_in_a_representation(environ):
    settings = Settings.load(environ)
    assert settings.credentials.redshift_password not in repr(settings)


def test_the_ui_password_file_is_private_and_replaced_whole(environ):
    settings = Settings.load(environ)
    settings.write_ui_passwords()
    settings.write_ui_passwords()
    assert stat.S_IMODE(settings.passwords_file.stat().st_mode) == 0o600
    assert json.loads(settings.passwords_file.read_text()) == {"admin": settings.credentials.ui_password}


def test_connections_lead_to_the_stand_ins(environ):
    values = Settings.load({**environ, "SPARKIFY_REDSHIFT_PORT": "6000"}).environment()
    redshift = json.loads(values["AIRFLOW_CONN_REDSHIFT_DEFAULT"])
    assert (redshift["conn_type"], redshift["host"], redshift["port"]) == ("redshift", "127.0.0.1", 6000)
    assert redshift["extra"] == {"ssl": False}
    page = json.loads(values["AIRFLOW_CONN_SPARKIFY_PAGE"])
    assert page == {**redshift, "login": "sparkify_page", "password": page["password"]}
    assert page["password"] != redshift["password"]
    aws = json.loads(values["AIRFLOW_CONN_AWS_DEFAULT"])
    assert aws["extra"]["endpoint_url"] == "http://127.0.0.1:9000"
    assert values["AIRFLOW__API__HOST"] == "127.0.0.1"


def test_nothing_of_another_airflow_or_aws_account_is_inherited(environ, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "mysql://elsewhere")
    monkeypatch.setenv("AWS_PROFILE", "production")
    values = Settings.load(environ).process_environment()
    assert values["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert not {"AIRFLOW_CONN_OTHER", "AWS_PROFILE"} & values.keys()


def test_a_proxy_of_the_machine_is_kept_off_loopback(environ, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    assert Settings.load(environ).environment()["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"
