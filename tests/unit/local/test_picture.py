import pytest

from tests.support.picture import HEIGHTS, MOST_BYTES, PictureError, fitting

pytestmark = pytest.mark.unit


def of(sizes: dict[int, int]):
    """Takes pictures of these heights, with these sizes in bytes."""
    return lambda height: bytes(sizes[height])


def test_the_tallest_picture_that_is_small_enough_is_taken():
    sizes = {1000: MOST_BYTES + 1, 900: MOST_BYTES, 800: 10}
    assert len(fitting(of(sizes), sizes)) == MOST_BYTES


def test_a_picture_that_never_fits_is_refused_with_its_sizes_and_the_remedy():
    with pytest.raises(PictureError) as caught:
        fitting(lambda height: bytes(MOST_BYTES + height))
    first, remedy = str(caught.value).splitlines()
    assert [f"{MOST_BYTES + height:,} bytes at {height} pixels" in first for height in HEIGHTS]
    assert "HEIGHTS" in remedy
