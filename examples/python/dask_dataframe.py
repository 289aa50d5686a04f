"""Dask's dataframes on the cluster: a join and a shuffle, and a table that is kept there for the next questions.

Run it: `python examples/python/dask_dataframe.py` (it needs `dask[dataframe]`). Expected output:

    240000 sales in 12 partitions, kept by the workers
    city 0: 155509.2 earned by 34471 sales
    city 1: 154034.9 earned by 34298 sales
    city 2: 155607.5 earned by 34468 sales
    the cheapest sale costs 0.03 in shop 12
    all of it is what one thread computes
"""

import dask.dataframe as dd
import numpy as np
import pandas as pd

import quiltwork as qw

SHOPS = pd.DataFrame({"shop": range(21), "city": [f"city {number % 7}" for number in range(21)]})


def sales_of(month: int) -> pd.DataFrame:
    """What would be read from a file."""
    random = np.random.default_rng(month)
    return pd.DataFrame({"shop": random.integers(0, 21, 20_000), "price": random.gamma(3, 1.5, 20_000).round(2)})


def earned_by_city(sales: dd.DataFrame) -> dd.DataFrame:
    return sales.merge(SHOPS, on="shop").groupby("city").price.agg(["sum", "count"])


with qw.Client(n_workers=2) as client:  # within this block Dask computes by the client
    sales = dd.from_map(sales_of, range(12)).persist()
    print(f"{len(sales)} sales in {sales.npartitions} partitions, kept by the workers")

    earned = earned_by_city(sales).compute().sort_index()
    for city, row in earned.head(3).iterrows():
        print(f"{city}: {row['sum']:.1f} earned by {row['count']:.0f} sales")

    by_price = sales.set_index("price")  # a shuffle: every partition meets every other
    cheapest = by_price.head(1)
    print(f"the cheapest sale costs {cheapest.index[0]} in shop {cheapest.shop.iloc[0]}")

    alone = earned_by_city(dd.from_map(sales_of, range(12))).compute(scheduler="sync").sort_index()
    assert np.allclose(earned, alone)
    print("all of it is what one thread computes")
