import itertools
import json
from collections import defaultdict
from datetime import UTC, datetime

import pytest

from local.sample_data import SampleSpec, sample_objects

pytestmark = pytest.mark.unit

EVENT_KEYS = [
    "artist",
    "auth",
    "firstName",
    "gender",
    "itemInSession",
    "lastName",
    "length",
    "level",
    "location",
    "method",
    "page",
    "registration",
    "sessionId",
    "song",
    "status",
    "ts",
    "userAgent",
    "userId",
]


class Sample:
    def __init__(self, spec):
        self.spec = spec
        self.objects = dict(sample_objects(spec))
        self.logs = {key: content for key, content in self.objects.items() if key.startswith("log_data/")}
        self.events = [json.loads(line) for log in self.logs.values() for line in log.decode().split("\n")]
        self.songs = [json.loads(v) for key, v in self.objects.items() if key.startswith("song_data/")]
        self.plays = [event for event in self.events if event["page"] == "NextSong"]


@pytest.fixture(scope="module")
def sample():
    return Sample(SampleSpec())


def test_same_seed_gives_the_same_bytes():
    spec = SampleSpec(days=3, users=10, songs=20, events_per_day=30)
    assert dict(sample_objects(spec)) == dict(sample_objects(spec))


def test_another_seed_gives_other_bytes():
    small = {"days": 1, "users": 5, "songs": 5, "events_per_day": 10}
    assert dict(sample_objects(SampleSpec(**small, seed=1))) != dict(
        sample_objects(SampleSpec(**small, seed=2))
    )


def test_default_is_the_month_that_the_demo_loads(sample):
    assert sorted(sample.logs) == [f"log_data/2018/11/2018-11-{day:02}-events.json" for day in range(1, 31)]
    assert len(sample.events) == 30 * 250
    assert len(sample.songs) == 300
    assert 80 <= len({event["userId"] for event in sample.events} - {""}) <= 100


@pytest.mark.parametrize(
    "spec",
    [
        SampleSpec(days=1, users=1, songs=1, events_per_day=1),
        SampleSpec(days=2, users=3, songs=2, events_per_day=50),
        SampleSpec(days=40, users=30, songs=60, events_per_day=20),
    ],
    ids=repr,
)
def test_counts_are_exact_at_any_size(spec):
    sample = Sample(spec)
    assert len(sample.logs) == spec.days
    assert len(sample.events) == spec.days * spec.events_per_day
    assert len(sample.songs) == spec.songs
    assert len({song["song_id"] for song in sample.songs}) == spec.songs


@pytest.mark.parametrize("name", ["days", "users", "songs", "events_per_day"])
def test_a_size_below_one_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        SampleSpec(**{name: 0})


def test_files_have_no_final_newline_and_songs_are_one_object_each(sample):
    assert not [key for key, content in sample.objects.items() if content.endswith(b"\n")]
    assert not [k for k, v in sample.objects.items() if k.startswith("song_data/") and b"\n" in v]


def test_song_files_lie_under_the_letters_of_their_track(sample):
    for key in sample.objects:
        if key.startswith("song_data/"):
            _, a, b, c, name = key.split("/")
            assert name[2:5] == a + b + c
            assert len(name) == len("TRAAAAW128F429D538.json")


def test_events_carry_the_apps_keys_in_its_order(sample):
    assert all(list(event) == EVENT_KEYS for event in sample.events)


def test_events_lie_in_their_days_file_in_order_of_time(sample):
    for key, content in sample.logs.items():
        times = [json.loads(line)["ts"] for line in content.decode().split("\n")]
        assert times == sorted(times)
        assert {f"{datetime.fromtimestamp(ts / 1000, UTC):%Y-%m-%d}" for ts in times} == {key[-22:-12]}


def test_a_play_is_unique_by_time_user_session_and_item(sample):
    keys = [(e["ts"], e["userId"], e["sessionId"], e["itemInSession"]) for e in sample.plays]
    assert len(keys) == len(set(keys))


def test_sessions_of_a_user_do_not_overlap(sample):
    spans = defaultdict(lambda: defaultdict(list))
    for event in sample.events:
        if event["userId"]:
            spans[event["userId"]][event["sessionId"]].append(event["ts"])
    for sessions in spans.values():
        ordered = sorted((min(times), max(times)) for times in sessions.values())
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(ordered))


def test_logged_out_events_have_an_empty_user_id_and_nulls(sample):
    logged_out = [event for event in sample.events if event["auth"] == "Logged Out"]
    assert len(logged_out) > 50
    for event in logged_out:
        assert event["userId"] == ""
        assert {
            event[k] for k in ("firstName", "gender", "lastName", "location", "registration", "userAgent")
        } == {None}
    assert all(event["userId"].isdecimal() for event in sample.events if event["auth"] == "Logged In")


def test_level_changes_after_the_event_that_submits_the_change(sample):
    of_user = defaultdict(list)
    for event in sample.events:
        if event["userId"]:
            of_user[event["userId"]].append(event)
    changes = defaultdict(int)
    for events in of_user.values():
        for before, after in itertools.pairwise(events):
            if before["page"] == "Submit Upgrade":
                assert (before["level"], after["level"]) == ("free", "paid")
            elif before["page"] == "Submit Downgrade":
                assert (before["level"], after["level"]) == ("paid", "free")
            else:
                assert before["level"] == after["level"]
            changes[events[0]["userId"]] += before["level"] != after["level"]
    assert sum(1 for count in changes.values() if count) >= 5
    assert max(changes.values()) >= 2, "no user goes up and down again"


def test_pages_methods_and_statuses_are_the_apps(sample):
    forms = {(event["page"], event["method"], event["status"]) for event in sample.events}
    assert forms == {
        ("NextSong", "PUT", 200),
        ("Home", "GET", 200),
        ("Login", "PUT", 307),
        ("Logout", "PUT", 307),
        ("Upgrade", "GET", 200),
        ("Downgrade", "GET", 200),
        ("Submit Upgrade", "PUT", 307),
        ("Submit Downgrade", "PUT", 307),
        ("Settings", "GET", 200),
        ("Save Settings", "PUT", 307),
        ("Help", "GET", 200),
        ("About", "GET", 200),
        ("Error", "GET", 404),
    }


def test_only_plays_carry_a_song(sample):
    for event in sample.events:
        present = [event[key] is not None for key in ("artist", "length", "song")]
        assert present == [event["page"] == "NextSong"] * 3


def test_user_agents_carry_literal_quotes_and_commas(sample):
    agents = {event["userAgent"] for event in sample.plays}
    assert any(agent.startswith('"') and "," in agent for agent in agents)
    assert any('"' not in agent for agent in agents)


def test_registration_is_a_float_and_ts_an_integer(sample):
    for event in sample.plays:
        assert type(event["registration"]) is float
        assert type(event["ts"]) is int


def test_accented_names_are_garbled_in_the_logs_and_clean_in_the_catalogue(sample):
    assert any("Ã" in event["artist"] for event in sample.plays)
    names = [str(song["artist_name"]) for song in sample.songs]
    assert not [name for name in names if "Ã" in name]
    assert [name for name in names if not name.isascii()]


def test_most_plays_miss_the_catalogue_and_a_good_share_finds_it(sample):
    catalogue = {(str(song["title"]), str(song["artist_name"])) for song in sample.songs}
    found = sum((event["song"], event["artist"]) in catalogue for event in sample.plays)
    assert 0.25 < found / len(sample.plays) < 0.5


def test_one_song_is_much_more_popular_than_most(sample):
    plays = defaultdict(int)
    for event in sample.plays:
        plays[event["song"], event["artist"]] += 1
    counts = sorted(plays.values())
    assert counts[-1] > 10 * counts[len(counts) // 2]


def test_one_artist_has_several_spellings_and_several_places(sample):
    spellings, places = defaultdict(set), defaultdict(set)
    for song in sample.songs:
        spellings[song["artist_id"]].add(str(song["artist_name"]))
        places[song["artist_id"]].add(song["artist_location"])
    several = [names for names in spellings.values() if len(names) > 1]
    assert len(several) > 3
    assert any(" feat. " in name for names in several for name in names)
    assert any(len(locations) > 1 for locations in places.values())


def test_one_title_and_artist_has_several_durations_and_once_the_same(sample):
    durations = defaultdict(list)
    for song in sample.songs:
        durations[song["title"], song["artist_name"]].append(song["duration"])
    twins = [values for values in durations.values() if len(values) > 1]
    assert any(len(set(values)) > 1 for values in twins)
    assert any(len(set(values)) < len(values) for values in twins)


@pytest.mark.parametrize(
    ("key", "types"),
    [
        ("title", {str, int, float}),
        ("artist_name", {str, int}),
        ("artist_location", {str, int, type(None)}),
        ("artist_latitude", {float, type(None)}),
        ("year", {int}),
        ("duration", {float}),
    ],
)
def test_song_attributes_come_in_every_json_type_that_real_ones_do(sample, key, types):
    assert {type(song[key]) for song in sample.songs} == types


def test_unknown_years_and_places_are_zero_and_empty(sample):
    assert {song["year"] for song in sample.songs} >= {0}
    assert {song["artist_location"] for song in sample.songs} >= {""}
