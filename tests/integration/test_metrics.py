# SPDX-License-Identifier: MIT
# test_metrics.py - per_server_prometheus() against what a client has done, read by Prometheus's own parser (Debian:
# python3-prometheus-client). Uses access_log_app. Does not test the program's /metrics (test_program.py).
import json
import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import Failure, Server, Skip, Suite, check, equal  # noqa: E402

suite = Suite("metrics")
PARSER = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
json.dump([(f.name, f.type, f.documentation, [(s.name, s.labels, s.value) for s in f.samples]) for f in families], sys.stdout)
"""


def parse(text):
    """[(name, type, help, [(sample, labels, value)])]; Debian's package is for Debian's Python."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import prometheus_client"], capture_output=True, check=False).returncode == 0:
            done = subprocess.run([python, "-c", PARSER], input=text, capture_output=True, text=True, check=False, timeout=60)
            check(done.returncode == 0, "text that Prometheus's parser understands", done.stderr + text)
            return json.loads(done.stdout)
    raise Skip("python3-prometheus-client is not installed")


def app(t, workers):
    return Server([t.program("access_log_app"), "--backend", t.args.backend, "--log", "/dev/null", "--workers", workers])


def metrics(server):
    with server.connect() as c:
        got = c.get("/metrics", "Connection: close")
    equal((got.status, got.get("content-type")), (200, "text/plain; version=0.0.4"))
    return got.body.decode()


class Samples:
    def __init__(self, text):
        self.families = parse(text)
        self.samples = [sample for family in self.families for sample in family[3]]

    def sum(self, name, **labels):
        found = [value for sample, given, value in self.samples
                 if sample == name and all(given.get(key) == value for key, value in labels.items())]
        check(found, f"{name}{labels}", [sample[0] for sample in self.samples])
        return sum(found)


@suite.case("exposition format 0.0.4")
def every_family_is_described_and_every_series_is_there_once(t):
    with t.serving(app(t, "3")) as server:
        found = Samples(metrics(server))
        for name, kind, documentation, samples in found.families:
            check(kind in ("counter", "gauge") and len(documentation) > 8, "a type and a description", name)
            check(samples, "samples", name)
            check(all(sample.endswith("_total") == (kind == "counter") for sample, _, _ in samples), "_total for counters", samples)
            series = [json.dumps((sample, labels), sort_keys=True) for sample, labels, _ in samples]
            equal(len(series), len(set(series)), f"different series of {name}")
        equal(len({family[0] for family in found.families}), len(found.families), "families, each in one piece")
        for worker in ("0", "1", "2"):
            check(found.sum("peregrine_pool_capacity", worker=worker) > 0, "pools of each worker", worker)
        info = next(labels for name, labels, _ in found.samples if name == "peregrine_build_info")
        equal(info["backend"], t.args.backend)


@suite.case()
def counts_are_what_the_client_did(t):
    connections, requests = 6, 400
    with t.serving(app(t, "2")) as server:
        before = Samples(metrics(server))
        received, problems = [0] * connections, []

        def one(index):
            try:
                with server.connect() as c:
                    for number in range(requests):
                        got = c.get("/status/404" if number % 4 == 0 else f"/bytes/{number}")
                        received[index] += len(got.body)
            except Exception as error:  # pylint: disable=broad-except
                problems.append(repr(error))

        threads = [threading.Thread(target=one, args=(index,)) for index in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(problems, [])
        for _ in range(5):
            with server.connect() as c:
                equal(c.ask(b"BAD\r\n\r\n").status, 400)
        after = Samples(metrics(server))

        def grown(name, **labels):
            return after.sum(name, **labels) - before.sum(name, **labels)

        equal(grown("peregrine_requests_total"), connections * requests + 1, "requests, and one for the metrics")
        equal(grown("peregrine_responses_total", code="2xx"), connections * requests * 3 // 4 + 1, "200")
        equal(grown("peregrine_responses_total", code="4xx"), connections * requests // 4 + 5, "404 and 400")
        equal(grown("peregrine_responses_total", code="5xx"), 0, "5xx")
        equal(grown("peregrine_bad_requests_total"), 5, "bad requests")
        equal(grown("peregrine_connections_total"), connections + 5 + 1, "connections")
        heads = connections * requests * 200
        check(sum(received) < grown("peregrine_bytes_out_total") < sum(received) + heads + 20000, "bytes sent",
              (sum(received), grown("peregrine_bytes_out_total")))
        equal(grown("peregrine_timeouts_total"), 0)


@suite.case()
def pools_say_what_is_in_use(t):
    with t.serving(app(t, "1")) as server:
        waiting = [server.connect() for _ in range(20)]
        for c in waiting:
            c.send(b"GET /never HTTP/1.1\r\nHost: t\r\n\r\n")

        def found_of(condition, what):
            for _ in range(60):
                found = Samples(metrics(server))
                if condition(found):
                    return found
                threading.Event().wait(0.05)
            raise Failure(what, "never")

        found = found_of(lambda f: f.sum("peregrine_pool_used", pool="exchanges") == 21, "20 exchanges and this one")
        equal(found.sum("peregrine_pool_used", pool="connections"), 21)
        check(found.sum("peregrine_pool_used", pool="blocks") >= 20, "a block for each head that waits", "fewer")
        check(found.sum("peregrine_pool_capacity", pool="connections") >= 1000, "the capacity", "less")
        for c in waiting:
            c.reset()
        found = found_of(lambda f: f.sum("peregrine_pool_used", pool="exchanges") == 1, "only this one")
        equal(found.sum("peregrine_pool_used_high", pool="exchanges"), 21, "the most at once")
        equal(found.sum("peregrine_pool_used", pool="websockets"), 0)
        equal(found.sum("peregrine_overflow_bytes"), 0)
        check(found.sum("peregrine_overflow_bytes_capacity") > 1 << 20, "the overflow region", "less")


if __name__ == "__main__":
    suite.parse_args()
    sys.exit(suite.run())
