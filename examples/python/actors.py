"""A cache that tasks share: an actor that fetches each page once, however many ask for it at the same time. And a
generator, whose items are read while it runs.

Run it: `python examples/python/actors.py`. Expected output:

    50 tasks asked 200 times, and 10 pages were fetched
    page-0 has 100 letters
    page-1 has 110 letters
    page-2 has 120 letters
    that is enough
"""

import asyncio
from collections.abc import Iterator

import quiltwork as qw


async def fetch(url: str) -> str:
    await asyncio.sleep(0.05)  # as if it came from far away
    return "x" * (100 + 10 * int(url.rpartition("-")[2]))


class Cache:
    def __init__(self) -> None:
        self.pages: dict[str, asyncio.Task[str]] = {}

    async def get(self, url: str) -> str:  # hundreds of calls wait here side by side, on one thread
        if url not in self.pages:
            self.pages[url] = asyncio.create_task(fetch(url))
        return await self.pages[url]

    def fetched(self) -> int:
        return len(self.pages)


def look_up(cache: qw.ActorHandle[Cache], urls: list[str]) -> int:
    return len([cache.get.remote(url).result() for url in urls])


def lengths(cache: qw.ActorHandle[Cache], urls: list[str]) -> Iterator[tuple[str, int]]:
    for url in urls:
        yield url, len(cache.get.remote(url).result())


with qw.Client(n_workers=2) as client:
    cache = client.actor(Cache)
    urls = [f"page-{number}" for number in range(10)]
    asked = sum(client.gather([client.submit(look_up, cache, urls[n % 7 : n % 7 + 4]) for n in range(50)]))
    print(f"50 tasks asked {asked} times, and {cache.fetched.remote().result()} pages were fetched")

    with client.submit(lengths, cache, urls) as stream:  # what the generator yields, as it comes
        for url, length in stream:
            print(f"{url} has {length} letters")
            if length == 120:
                break
    print("that is enough")  # and the generator has been closed
