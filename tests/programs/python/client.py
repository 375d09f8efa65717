"""A client by requests; see ../README.md."""

import collections
import sys
import threading

import requests

connections = collections.defaultdict(list)
with open(sys.argv[2], encoding="ascii") as plan:
    for line in plan:
        fields = line.rstrip("\n").split("\t")
        connections[fields[0]].append(fields)
failures = []


def body(size, framing):
    if size == "-":
        return None
    data = b"b" * int(size)
    return iter([data[: len(data) // 2], data[len(data) // 2 :]]) if framing == "chunked" else data


def run(plan):
    with requests.Session() as session:
        for _, method, target, size, framing in plan:
            try:
                answer = session.request(method, sys.argv[1] + target, data=body(size, framing))
            except requests.RequestException as error:
                failures.append(error)
                return
            print(f"{target}\t{answer.status_code}\t{len(answer.content)}\n", end="", flush=True)


threads = [threading.Thread(target=run, args=[plan]) for plan in connections.values()]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for failure in failures:
    print(failure, file=sys.stderr)
sys.exit(bool(failures))
