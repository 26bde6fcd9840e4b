import itertools
import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest

from local.sample_data import HOUR, Sample, SampleSpec

pytestmark = pytest.mark.unit

END = date(2018, 11, 30)
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


class Objects:
    def __init__(self, spec):
        self.spec = spec
        self.objects = dict(Sample(spec).objects())
        self.logs = {key: content for key, content in self.objects.items() if key.startswith("log_data/")}
        self.events = [json.loads(line) for log in self.logs.values() for line in log.decode().split("\n")]
        self.songs = [json.loads(v) for key, v in self.objects.items() if key.startswith("song_data/")]
        self.plays = [event for event in self.events if event["page"] == "NextSong"]


@pytest.fixture(scope="module")
def sample():
    return Objects(SampleSpec(END))


def test_same_seed_gives_the_same_bytes():
    spec = SampleSpec(END, days=3, users=10, songs=20, events_per_day=30)
    assert dict(Sample(spec).objects()) == dict(Sample(spec).objects())


def test_another_seed_gives_other_bytes():
    small = {"end": END, "days": 1, "users": 5, "songs": 5, "events_per_day": 10}
    one, other = (dict(Sample(SampleSpec(**small, seed=seed)).objects()) for seed in (1, 2))
    assert one != other


@pytest.mark.parametrize("end", [date(2024, 2, 29), date(2026, 11, 26), date(2026, 11, 27)], ids=str)
def test_another_end_gives_the_same_songs_and_the_same_events_on_other_days(sample, end):
    other = Objects(SampleSpec(end))
    assert {key: body for key, body in other.objects.items() if key.startswith("song_data/")} == {
        key: body for key, body in sample.objects.items() if key.startswith("song_data/")
    }
    shift = (end - END) // timedelta(milliseconds=1)
    moved = {"ts", "registration"}
    for ours, theirs in zip(sample.events, other.events, strict=True):
        assert theirs == {
            key: value + shift if key in moved and value is not None else value for key, value in ours.items()
        }
    assert max(other.logs) == f"log_data/{end:%Y/%m/%Y-%m-%d}-events.json"


def test_default_is_the_month_that_the_demo_loads(sample):
    assert sorted(sample.logs) == [f"log_data/2018/11/2018-11-{day:02}-events.json" for day in range(1, 31)]
    assert len(sample.events) == 30 * 250
    assert len(sample.songs) == 300
    assert 80 <= len({event["userId"] for event in sample.events} - {""}) <= 100


@pytest.mark.parametrize(
    "spec",
    [
        SampleSpec(END, days=1, users=1, songs=1, events_per_day=1),
        SampleSpec(END, days=2, users=3, songs=2, events_per_day=50),
        SampleSpec(END, days=40, users=30, songs=60, events_per_day=20),
    ],
    ids=repr,
)
def test_counts_are_exact_at_any_size(spec):
    sample = Objects(spec)
    assert len(sample.logs) == spec.days
    assert len(sample.events) == spec.days * spec.events_per_day
    assert len(sample.songs) == spec.songs
    assert len({song["song_id"] for song in sample.songs}) == spec.songs


@pytest.mark.parametrize("name", ["days", "users", "songs", "events_per_day"])
def test_a_size_below_one_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        SampleSpec(END, **{name: 0})


def test_more_days_than_there_were_are_refused():
    with pytest.raises(ValueError, match="days is 10000000000: the sample would begin before 1970"):
        SampleSpec(END, days=10_000_000_000)


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


MIDNIGHT = datetime(2018, 12, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def files():
    """The log files of the sample's last day and of the four days after it."""
    return Sample(SampleSpec(END)).log_files(MIDNIGHT + timedelta(days=4))[29:]


def events(content):
    return [json.loads(line) for line in content.decode().split("\n") if line]


def hours(start, count=24):
    """The ends of the hours that follow `start`."""
    return [start + number * HOUR for number in range(1, count + 1)]


def test_the_files_of_a_day_are_the_same_however_far_the_sample_is_followed(files):
    sample = Sample(SampleSpec(END))
    assert sample.log_files(MIDNIGHT + HOUR)[29:] == files[:2]
    assert sample.log_files(MIDNIGHT)[29:] == files[:1]
    assert sample.log_files(MIDNIGHT + timedelta(days=4))[29:] == files


def test_a_day_after_the_sample_grows_by_the_events_of_each_hour(files):
    for file in files[1:]:
        in_the_end = events(file.content(file.day + timedelta(days=2)))
        for at in hours(file.day):
            shown = {event["sessionId"] for event in events(file.content(at))}
            over = {event["sessionId"] for event in in_the_end if event["ts"] < at.timestamp() * 1000}
            assert shown <= over
            assert len(over - shown) <= 3, "more than the sessions that come late"
        assert 100 < len(events(file.content(file.day + timedelta(days=1)))) < 400


def test_late_events_of_the_day_before_come_within_the_first_hour_and_later(files):
    for file in files:
        midnight = file.day + timedelta(days=1)
        counts = [len(events(file.content(at))) for at in [midnight, *hours(midnight)]]
        assert counts[1] > counts[0]
        assert counts[-1] > counts[1]
        assert file.content(midnight + timedelta(days=1)) == file.content(midnight + timedelta(days=400))


def test_late_events_of_an_earlier_hour_of_the_same_day_come_each_day(files):
    for file in files[1:]:
        ends = hours(file.day)
        seen = {at: {(e["ts"], e["sessionId"]) for e in events(file.content(at))} for at in ends}
        late = [
            (ts, at)
            for before, at in itertools.pairwise(ends)
            for ts, _ in seen[at] - seen[before]
            if ts < before.timestamp() * 1000
        ]
        assert late
        assert all(at.timestamp() * 1000 - ts > 2 * 3_600_000 for ts, at in late)


def test_each_third_file_is_rewritten_the_day_after_with_a_location_that_was_missing(files):
    rewritten = []
    for file in files:
        at = file.day + timedelta(hours=30)
        before, after = events(file.content(at - HOUR)), events(file.content(at))
        after_by_key = {(e["ts"], e["sessionId"], e["itemInSession"]): e for e in after}
        changed = [
            (e, now)
            for e in before
            if (now := after_by_key[e["ts"], e["sessionId"], e["itemInSession"]]) != e
        ]
        assert all({**e, "location": now["location"]} == now for e, now in changed)
        assert all(e["location"] is None and now["location"] for e, now in changed)
        rewritten.append(len(changed) > 5)
    assert rewritten == [True, False, False, True, False]


def test_users_keep_their_level_and_sessions_their_number_with_late_events(files):
    everything = [e for file in files for e in events(file.content(file.day + timedelta(days=2)))]
    sessions = defaultdict(set)
    for event in everything:
        sessions[event["sessionId"]].add(event["userId"])
    assert all(len(users - {""}) <= 1 for users in sessions.values())
    spans = defaultdict(list)
    for event in sorted(everything, key=lambda e: e["ts"]):
        if event["userId"]:
            spans[event["userId"]].append(event)
    for of_user in spans.values():
        for before, after in itertools.pairwise(of_user):
            assert before["level"] == after["level"] or before["page"].startswith("Submit ")


def test_the_versions_of_a_file_are_what_it_held_up_to_a_moment(files):
    file = files[1]
    held = {file.content(at) for at in hours(file.day, 10)}
    assert len(held) > 5
    assert set(file.versions(file.day + 10 * HOUR)) == held
    assert file.content(file.day + 24 * HOUR) not in held


def test_a_small_sample_without_idle_users_goes_on_without_late_events():
    spec = SampleSpec(END, days=2, users=1, songs=5, events_per_day=10)
    files = Sample(spec).log_files(MIDNIGHT + timedelta(days=2))
    assert len(files) == 4
    assert all(file.content(file.day + timedelta(days=1)) for file in files)
