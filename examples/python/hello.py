"""The smallest whole program: two worker processes and tasks that use each other's results.

Run it: `python examples/python/hello.py`. Expected output:

    hello, patch; hello, thread; hello, quilt
"""

import quiltwork as qw


def greet(name: str) -> str:
    return f"hello, {name}"


with qw.Client(n_workers=2) as client:
    greetings = client.map(greet, ["patch", "thread", "quilt"])
    print(client.submit("; ".join, greetings).result())
