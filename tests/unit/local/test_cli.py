import shlex
from datetime import UTC, datetime, timedelta

import pytest

from local.cli import main
from local.settings import Settings
from local.stack import Stack

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARKIFY_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed"], "Local S3 is not running.\n`make up` starts everything."),
        (["seed", "--from", "x", "--days", "3"], "leave out --days, or leave out --from"),
        (["load", "--start", "2018-11-01", "--end", "2018-12-01"], "Airflow is not running.\n`make up`"),
        (["load", "--start", "soon", "--end", "2018-12-01"], "--start 'soon' is not a date"),
        (["load", "--start", "2018-12-01", "--end", "2018-11-01"], "not after its start"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_message_and_a_non_zero_exit(arguments, message, capsys):
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.out == ""


def test_a_port_that_is_none_is_refused_before_anything_starts(monkeypatch, capsys):
    monkeypatch.setenv("SPARKIFY_UI_PORT", "eighty")
    assert main(["up"]) == 1
    assert "SPARKIFY_UI_PORT='eighty' is not a port" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["soon", "2018-11-31", "1969-07-20", "a day that is not over"])
def test_an_end_of_the_sample_that_is_none_or_not_over_is_refused(monkeypatch, capsys, end):
    if end == "a day that is not over":
        # Tomorrow: today may be over before the command asks.
        end = f"{datetime.now(UTC) + timedelta(days=1):%F}"
    monkeypatch.setenv("SPARKIFY_SAMPLE_END", end)
    assert main(["up"]) == 1
    error = capsys.readouterr().err
    assert f"SPARKIFY_SAMPLE_END='{end}' is not a day from 1971-01-01 to yesterday (UTC)" in error
    assert "Give one like 2018-11-30" in error


def test_status_of_a_stack_that_was_never_started(capsys):
    assert main(["status"]) == 3
    assert "stopped" in capsys.readouterr().out


def test_env_prints_exports_that_a_shell_takes(capsys):
    assert main(["env"]) == 0
    words = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert all(line[0] == "export" and len(line) == 2 for line in words)
    names = [line[1].partition("=")[0] for line in words]
    assert {"PATH", "AIRFLOW_HOME", "AIRFLOW_CONN_REDSHIFT_DEFAULT"} <= set(names)


def test_nothing_is_started_while_another_command_ends_everything(monkeypatch, capsys):
    ends = []
    monkeypatch.setattr(Stack, "up", lambda *_: None)
    monkeypatch.setattr(Stack, "down", lambda *_: ends.append(main(["up"])))
    assert main(["down"]) == 0
    assert ends == [1]
    assert "Another command is working on" in capsys.readouterr().err


def test_a_command_that_hangs_does_not_keep_everything_from_being_ended(monkeypatch):
    monkeypatch.setattr(Stack, "down", lambda *_: None)
    with Stack(Settings.load()).locked():
        assert main(["down"]) == 0


def test_clean_says_which_data_it_deletes(state, capsys):
    state.mkdir(mode=0o700)
    song = state / "s3" / "sparkify" / "song_data" / "A" / "TRAAAAA.json"
    song.parent.mkdir(parents=True)
    song.write_text("{}")
    assert main(["clean"]) == 0
    assert not state.exists()
    told = capsys.readouterr().out
    assert f"Delete the local data in {state}" in told
    assert "sample" in told
    assert "history of runs" in told


def test_clean_does_not_claim_to_delete_what_was_never_there(state, capsys):
    assert main(["clean"]) == 0
    assert not state.exists()
    assert "there was none" in capsys.readouterr().out


def test_an_unknown_command_shows_the_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["fly"])
    assert ended.value.code == 2
    assert "usage: python -m local" in capsys.readouterr().err
