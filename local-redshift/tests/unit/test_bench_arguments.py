"""What the benchmark of COPY refuses to measure."""

from __future__ import annotations

import pytest

import bench_copy as bench

pytestmark = pytest.mark.unit


def test_a_memory_prefix_that_says_nothing_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        bench.main(["--memory-bytes", "999999999"])
    told = capsys.readouterr().err
    assert "999999999 is too small" in told
    assert "Give at least 1000000000" in told


def test_the_smallest_memory_prefix_has_several_files_in_its_tenth():
    lines = sum(len(str(event)) for event in bench.make_events(bench.MEMORY_FILE_EVENTS))
    assert bench.memory_bytes(str(bench.MINIMUM_MEMORY_BYTES)) / 10 / lines > 5
