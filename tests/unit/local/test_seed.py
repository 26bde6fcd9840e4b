import re

import pytest

from local.seed import Seeded, SeedError, Source, folder_sources
from local.settings import ROOT

pytestmark = pytest.mark.unit


def test_a_folders_files_become_objects_under_their_own_paths(tmp_path):
    for name in ("log_data/2018/11/a.json", "song_data/A/B/C/b.json", "log_json_path.json", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "song_data/.DS_Store").write_text("")
    assert [source.key for source in folder_sources(tmp_path)] == [
        "log_data/2018/11/a.json",
        "log_json_path.json",
        "song_data/A/B/C/b.json",
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "contains neither log_data/ nor song_data/; it is empty"),
        (["archive.tar.gz"], "it contains archive.tar.gz"),
        (["log_data/.keep"], "contains no file below log_data/ or song_data/"),
    ],
)
def test_a_folder_without_data_is_refused(tmp_path, names, message):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(SeedError, match=message):
        folder_sources(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(SeedError, match="nowhere is not a folder"):
        folder_sources(tmp_path / "nowhere")


def test_a_file_and_its_bytes_have_one_digest(tmp_path):
    file = tmp_path / "a.json"
    file.write_bytes(b"hello")
    assert Source("a", file).md5() == Source("a", b"hello").md5() == "5d41402abc4b2a76b9719d911017c592"
    assert Source("a", file).size == Source("a", b"hello").size == 5


@pytest.mark.parametrize(
    ("seeded", "text"),
    [
        (Seeded(300, 0, 2.0), "300 objects uploaded (150 per second)"),
        (Seeded(10, 1290, 1.0), "10 objects uploaded, 1,290 already there (10 per second)"),
        (Seeded(0, 330, 0.1), "330 objects, all of them already there"),
    ],
)
def test_a_seeding_tells_what_it_did(seeded, text):
    assert str(seeded) == text


def test_no_command_leaves_work_to_the_threads_of_obstore():
    """They abort a process that ends while they hold its objects (https://github.com/PyO3/pyo3/pull/4874)."""
    files = list((ROOT / "local").rglob("*.py"))
    assert files
    assert [path for path in files if re.search(r"obstore\.\w+_async\b", path.read_text())] == []
