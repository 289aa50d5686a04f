"""Arrays that do not move: mapped by whoever reads them on the node, read-only, and not copied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import quiltwork as qw

SIZE = 4 << 20


def make(n: int) -> Any:
    return np.arange(n, dtype=np.float64)


def look(array: Any) -> dict[str, Any]:
    with open("/proc/self/maps") as maps:
        ranges = [line.split()[0].split("-") for line in maps if "/quiltwork-" in line]
    place = array.__array_interface__["data"][0]
    return {
        "sum": float(array.sum()),
        "writeable": array.flags.writeable,
        "aligned": place % 64 == 0,
        "mapped": any(int(low, 16) <= place < int(high, 16) for low, high in ranges),
    }


def copied(_: Any) -> int:
    return qw.copied_bytes()


def test_an_array_is_copied_once_by_its_maker_and_by_no_reader(client: qw.Client) -> None:
    before = qw.copied_bytes()
    made = client.submit(make, SIZE)
    expected = {"sum": SIZE * (SIZE - 1) / 2, "writeable": False, "aligned": True, "mapped": True}
    looks = [client.submit(look, made) for _ in range(8)]
    assert client.gather(looks) == [expected] * 8
    assert look(made.result()) == expected
    assert qw.copied_bytes() == before


def test_the_maker_copies_an_array_exactly_once() -> None:
    def cost(n: int) -> tuple[int, int]:
        return n, qw.copied_bytes()

    with qw.Client(n_workers=1) as client:
        before = client.submit(copied, None).result()
        made = client.submit(make, SIZE)
        assert client.submit(look, made).result()["mapped"]
        after = client.submit(copied, None).result()
    assert 0 <= (after - before) - 8 * SIZE < 4096


def test_arrays_of_all_kinds_arrive_as_they_were(client: qw.Client) -> None:
    arrays = [
        np.zeros(0),
        np.arange(10),
        np.arange(10_000).reshape(100, 100).T,
        np.asfortranarray(np.arange(20_000.0).reshape(100, 200)),
        np.arange(20_000)[::2],
        np.array(["text", None], dtype=object),
        np.zeros(3000, dtype=[("a", "i4"), ("b", "f8")]),
        np.array(7),
    ]
    back = client.gather(client.map(lambda x: x, arrays))
    for array, arrived in zip(arrays, back):
        assert arrived.dtype == array.dtype and arrived.shape == array.shape
        np.testing.assert_array_equal(array, arrived)


def test_several_arrays_and_words_travel_in_one_value(client: qw.Client) -> None:
    value = {"a": np.ones(3000), "b": [np.zeros(100_000, dtype=np.uint8), "words"], "c": np.ones(3)}
    for arrived in (client.put(value).result(), client.submit(lambda x: x, value).result()):
        np.testing.assert_array_equal(arrived["a"], value["a"])
        np.testing.assert_array_equal(arrived["b"][0], value["b"][0])
        assert arrived["b"][1] == "words"
    assert arrived["a"].ctypes.data % 64 == 0 and arrived["b"][0].ctypes.data % 64 == 0


def test_what_was_mapped_outlives_its_future(client: qw.Client) -> None:
    array = client.submit(make, 100_000).result()
    client.submit(make, 100_000).result()
    assert array.sum() == 100_000 * 99_999 / 2
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
