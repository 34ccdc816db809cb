"""The validation cut is stable, of the right size, and never meets the test split."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irnas.core.errors import DataError
from irnas.data.split import check_disjoint, describe_search, leaks, shared_sequences, with_validation

_names = st.lists(
    st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1), min_size=2, max_size=60, unique=True
)


@given(_names, st.floats(0.01, 0.99), st.integers(0, 5))
def test_fit_and_val_share_out_train(names: list[str], fraction: float, seed: int) -> None:
    splits, _ = with_validation({"train": names}, {}, fraction=fraction, seed=seed)
    assert sorted([*splits["fit"], *splits["val"]]) == sorted(names)
    assert not set(splits["fit"]) & set(splits["val"])
    assert len(splits["val"]) == min(max(round(fraction * len(names)), 1), len(names) - 1)
    # Both keep the order of the official list.
    assert [n for n in names if n in set(splits["val"])] == splits["val"]


@given(_names, st.randoms())
def test_the_order_of_the_list_does_not_matter(names: list[str], random: object) -> None:
    shuffled = names.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = (with_validation({"train": n}, {})[0] for n in (names, shuffled))
    assert set(first["val"]) == set(second["val"])


def test_the_cut_is_the_smallest_hashes() -> None:
    names = [f"{i:06d}" for i in range(100)]
    wanted = sorted(names, key=lambda n: hashlib.sha256(f"3/{n}".encode()).hexdigest())[:20]
    assert set(with_validation({"train": names}, {}, seed=3)[0]["val"]) == set(wanted)


def test_seeds_cut_differently_and_new_images_move_few() -> None:
    names = [f"{i:06d}" for i in range(200)]
    first = set(with_validation({"train": names}, {})[0]["val"])
    assert first != set(with_validation({"train": names}, {}, seed=1)[0]["val"])
    longer = set(with_validation({"train": [*names, *(f"x{i}" for i in range(10))]}, {})[0]["val"])
    assert len(first & longer) >= 35


def test_sequences_stay_whole() -> None:
    sequence_of = {f"s{s}/{t}": f"s{s}" for s in range(10) for t in range(7)}
    splits, about = with_validation({"train": list(sequence_of)}, sequence_of)
    cut = [{sequence_of[n] for n in splits[k]} for k in ("fit", "val")]
    assert (len(cut[0]), len(cut[1]), len(cut[0] & cut[1])) == (8, 2, 0)
    assert about["by"] == "sequence"


def test_trainval_is_cut_where_there_is_no_train() -> None:
    splits, about = with_validation({"trainval": list("abcde"), "test": ["x"]}, {})
    assert about["of"] == "trainval"
    assert (len(splits["fit"]), len(splits["val"])) == (4, 1)


def test_an_official_validation_split_is_used_as_it_is() -> None:
    splits, about = with_validation({"train": ["a", "b"], "val": ["c"], "test": ["d"]}, {})
    assert (splits["fit"], splits["val"], about["kind"]) == (["a", "b"], ["c"], "official")


def test_a_set_to_test_on_only_has_neither_fit_nor_val() -> None:
    splits, about = with_validation({"test": ["a"]}, {})
    assert (splits, about) == ({"test": ["a"]}, {"kind": "none"})
    assert describe_search(splits) == ["there is no split to train on: the set can be tested on only"]


def test_one_sequence_is_not_cut_and_that_is_said() -> None:
    sequence_of = {f"s/{t}": "s" for t in range(6)}
    splits, about = with_validation({"train": list(sequence_of)}, sequence_of)
    assert "val" not in splits and len(splits["fit"]) == 6 and about["kind"] == "none"
    assert "a search needs one" in describe_search(splits)[0]


def test_frames_of_one_sequence_in_two_splits_are_told() -> None:
    sequence_of = {f"{s}/{t}": s for s in "abc" for t in range(4)}
    official = {"train": ["a/0", "a/2", "b/0"], "val": ["c/0"], "test": ["a/1", "a/3"], "other/test": ["b/1"]}
    (sentence,) = shared_sequences(official, sequence_of)
    assert sentence.startswith("1 sequence has frames in train and in test (the first a)")
    # So are those of an official validation split, whose frames train does not hold.
    (sentence,) = shared_sequences({"train": ["a/0", "b/0"], "val": ["a/1"], "fit": ["a/0", "b/0"]}, sequence_of)
    assert sentence.startswith("1 sequence has frames in train and in val")
    # A cut that keeps sequences whole, and images of none, tell nothing.
    whole, _ = with_validation({"train": [n for n in sequence_of if n[0] != "c"], "test": ["c/0"]}, sequence_of)
    assert shared_sequences(whole, sequence_of) == []
    assert shared_sequences({"train": ["x"], "test": ["y"]}, {"x": "", "y": ""}) == []


def test_a_val_beside_trainval_is_used_unless_it_lies_in_it() -> None:
    splits, about = with_validation({"trainval": list("abcde"), "val": ["x"]}, {})
    assert (splits["fit"], splits["val"], about["kind"]) == (list("abcde"), ["x"], "official")
    assert with_validation({"trainval": list("abcde"), "val": ["a"]}, {})[1]["kind"] == "cut"


def test_no_validation_where_none_is_wanted() -> None:
    splits, _ = with_validation({"train": ["a"]}, {}, fraction=0)
    assert splits == {"train": ["a"], "fit": ["a"]}


@pytest.mark.parametrize(
    ("splits", "fraction", "message"),
    [
        ({"train": ["a"]}, 0.2, "split 'train': got 1 to cut a validation split from; must be at least 2"),
        ({"train": ["a", "b"]}, 1.0, "validation fraction: got 1.0; must be at least 0 and below 1"),
        ({"train": ["a", "b"]}, -0.1, "validation fraction: got -0.1"),
    ],
)
def test_an_impossible_cut_is_refused(splits: dict[str, list[str]], fraction: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        with_validation(splits, {}, fraction=fraction)


def test_disjointness_is_asked_within_a_protocol_only() -> None:
    check_disjoint(
        {"train": "ab", "test": "c", "idx/train": "bc", "idx/trainval": "bcd", "idx/val": "d", "idx/test": "a"}
    )
    with pytest.raises(DataError, match="splits 'idx/train' and 'idx/val': got 1 images in both, the first 'b'"):
        check_disjoint({"idx/train": "ab", "idx/val": "bc"})
    # A cut validation split lies in train by design.
    check_disjoint({"train": "ab", "fit": "a", "val": "b"})
    with pytest.raises(DataError, match="'train' and 'val'"):
        check_disjoint({"train": "ab", "val": "b"})


def test_leaks_between_protocols_are_counted() -> None:
    sentences = leaks({"train": "ab", "test": "cd", "idx/train": "acd", "idx/test": "b"})
    assert [f.split(":")[0] for f in sentences] == [
        "2 of the 2 images of split test are in idx/train",
        "1 of the 1 images of split idx/test are in train",
    ]
