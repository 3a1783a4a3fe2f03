"""CSV in its three forms, and sentences that name line and column."""

import numpy as np
import pytest

import memspike as ms
from memspike.data.files.dataset import load_file, understood
from memspike.data.files.formats import read
from memspike.data.files.options import Reading

FLOWERS = "length,width,label,garden\n" + "".join(
    f"{1 + k / 10},{2 - k / 10},{'rose' if k % 2 else 'lily'},{'north' if k < 10 else 'south'}\n" for k in range(20)
)
MOVES = "example,time,a,b,label\n" + "".join(
    f"m{n},{t},{n + t},{n - t},{'up' if n % 2 else 'down'}\n" for n in range(8) for t in range(3 + n % 3)
)
SERIES = "time;u;target\n" + "".join(f"{0.5 * k:.1f};{k};{2 * k}\n".replace(".", ",") for k in range(23))


def written(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    return path


def test_a_row_is_an_example(tmp_path):
    found = understood(written(tmp_path, FLOWERS))
    assert found.raw.x.shape == (20, 1, 2)
    assert found.data.names == ("lily", "rose")
    assert found.raw.groups["garden"][:2] == ("north", "north")
    np.testing.assert_allclose(found.raw.x[3, 0], [1.3, 1.7])
    apart = understood(written(tmp_path, FLOWERS), Reading(group="garden"))
    assert {found.raw.groups["garden"][k] for k in apart.test} in ({"north"}, {"south"})


def test_rows_of_one_example_are_its_frames(tmp_path):
    found = read(written(tmp_path, MOVES), Reading())
    assert found.x.shape == (8, 5, 2)
    assert found.lengths is not None
    assert found.lengths.tolist() == [3 + n % 3 for n in range(8)]
    np.testing.assert_array_equal(found.x[4, :4], [[4 + t, 4 - t] for t in range(4)])
    assert found.labels == ("down", "up") * 4


def test_a_series_is_cut_into_windows(tmp_path):
    found = understood(written(tmp_path, SERIES), Reading(window=5))
    assert found.raw.x.shape == (4, 5, 1)
    assert found.data.regression
    np.testing.assert_allclose(found.data.y_test[0, :, 0], np.arange(30, 40, 2))
    assert "the last 3 rows make no whole window" in found.raw.notes[-1]


def test_rows_may_have_several_targets_and_a_stated_split(tmp_path):
    rows = "".join(f"{k},{-k},{k / 2},{'test' if k > 7 else 'train'}\n" for k in range(10))
    data = load_file(written(tmp_path, "a,target_x,target_y,split\n" + rows))
    assert data.y_train.shape == (8, 1, 2)
    np.testing.assert_allclose(data.y_test[:, 0], [[-8, 4], [-9, 4.5]])


def test_any_column_may_be_the_label(tmp_path):
    path = written(tmp_path, FLOWERS)
    assert load_file(path, Reading(label="garden")).names == ("north", "south")
    assert load_file(path, Reading(target="width")).regression


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FLOWERS.replace("1.3,", ","), "line 5, column length is empty; a finite number"),
        (FLOWERS.replace("1.3,", "wide,"), "line 5, column length is 'wide'"),
        (FLOWERS.replace("1.3,", "nan,"), "line 5, column length is 'nan'"),
        (FLOWERS.replace("1.7,rose", "1.7,"), "line 5, column label: the cell is empty"),
        (FLOWERS.replace("1.7,rose", "1.7"), "line 5 has 3 cells; the header has 4"),
        (FLOWERS.replace("label", "kind"), "needed: a column label"),
        (FLOWERS.replace("width", "length"), "the column length twice"),
        ("\n".join(FLOWERS.splitlines()[1:]), "needs a header"),
        (MOVES.replace("m2,1,", "m2,0,"), "line 10, column time does not ascend"),
        (MOVES.replace("m2,1,3,1,down", "m2,1,3,1,up"), "line 10, column label is 'up', and 'down' in line 9"),
        (SERIES, "give data.window"),
    ],
)
def test_bad_tables_are_one_sentence(tmp_path, text, said):
    with pytest.raises(ms.InputError, match=said):
        load_file(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        (MOVES, Reading(window=5), "has a column of examples"),
        (FLOWERS, Reading(window=5), "a series needs a column target"),
        (SERIES, Reading(window=20), "two windows are needed"),
        (FLOWERS, Reading(label="lable"), "no column 'lable'.*label"),
        (FLOWERS, Reading(label="label", target="width"), "not both"),
        (FLOWERS, Reading(frame=1e-3), r"data\.frame is 0\.001, which has no meaning for CSV"),
    ],
)
def test_keys_that_do_not_fit_are_one_sentence(tmp_path, text, given, said):
    with pytest.raises(ms.InputError, match=said):
        load_file(written(tmp_path, text), given)
