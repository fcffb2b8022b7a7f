#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test_program_config.py - what peregrine says without serving: --help, --version, --probe; wrong options; every kind of error
# in a configuration file with its line; --check and --dump-config. Serves nothing.
# ctest: once
import os
import re
import socket
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from harness import Skip, Suite, check, equal  # noqa: E402
from program import Folder, path_of, run  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
suite = Suite("peregrine: options and configuration")
HOSTS = "hosts:\n  - root: .\n"
KEYS = ("listen, proxy_trusted, server_name, health, user, group, engine, limits, timeouts, files, tls, log, access_log, metrics, "
        "hosts")


def program(t):
    return path_of(t)


def checked(t, text, *options):
    """--check of a file with that text; FILE stands for its path in what is printed."""
    with Folder() as folder:
        path = folder.write("site.yaml", text)
        done = run(program(t), "--check", "--config", path, *options)
        return done.returncode, done.stdout, done.stderr.replace(path, "FILE").replace(folder.path, "DIR")


def refused(t, text, *lines):
    """Exactly these complaints, and status 1."""
    status, out, err = checked(t, text)
    equal(err, "".join(line + "\n" for line in lines), "the complaints")
    equal((status, out), (1, ""), "status and output")


# --- words ------------------------------------------------------------------------------------------------------------


@suite.case()
def help_names_every_option(t):
    done = run(program(t), "--help")
    equal(done.returncode, 0)
    for option in ("--port", "--host", "--listen", "--tls-cert", "--tls-key", "--backend", "--workers", "--pin",
                   "--accept-threads", "--user", "--access-log", "--metrics", "--verbose", "--quiet", "--config", "--check",
                   "--dump-config", "--welcome", "--probe", "--version", "--help"):
        check(option in done.stdout, f"{option} in the help", done.stdout)
    too_long = [line for line in done.stdout.split("\n") if len(line) > 105]
    check(not too_long, "lines that fit on a terminal", too_long)


@suite.case()
def version_is_the_header_s(t):
    with open(os.path.join(ROOT, "include/peregrine/types.h"), encoding="ascii") as header:
        version = re.search(r'#define PER_VERSION "(.*)"', header.read()).group(1)
    equal(run(program(t), "--version").stdout, f"peregrine {version}\n")


@suite.case()
def probe_explains_this_machine(t):
    done = run(program(t), "--probe")
    equal(done.returncode, 0)
    for word in ("io_uring", "epoll", "kernel", "CPUs", "descriptors", "locked memory", "seccomp", "io_uring_disabled", "openat2",
                 "somaxconn", "TLS"):
        check(re.search(rf"^  {word} +\S", done.stdout, re.MULTILINE), f"a line for {word}", done.stdout)
    check(re.search(r"^  (io_uring|epoll) +yes +works here", done.stdout, re.MULTILINE), "a backend that works", done.stdout)


# --- the command line -------------------------------------------------------------------------------------------------


@suite.case()
def wrong_options_exit_with_2(t):
    for options, words in ((["--nonsense"], "nonsense"), (["a", "b"], "unexpected argument: 'b'"),
                           (["--port", "1", "--listen", ":0"], "instead of --host and --port"),
                           (["--port", ""], "--port needs a value"), (["--tls-key", "x"], "--tls-key needs --tls-cert"),
                           (["-q", "-v"], "--quiet"), (["--welcome", "dir"], "--welcome"),
                           (["--config", "x", "dir"], "stand in the file"), (["--config", "x", "--welcome"], "in the file"),
                           (["--config", "x", "--tls-cert", "y"], "in the file"), (["--workers"], "workers")):
        done = run(program(t), *options)
        check(done.returncode == 2 and words in done.stderr and "--help" in done.stderr, f"2 and {words!r} for {options}",
              (done.returncode, done.stderr))


@suite.case()
def wrong_values_name_the_option(t):
    for options, words in ((["--port", "65536"], '--port: "65536": expected 0 to 65535'),
                           (["--port", "http"], '--port: "http": expected 0 to 65535'),
                           (["--workers", "0"], '--workers: "0": expected 1 to 1024'),
                           (["--workers", "x"], '--workers: "x": expected a whole number'),
                           (["--accept-threads", "65"], '--accept-threads: "65": expected 0 to 64'),
                           (["--backend", "x"], '--backend: "x": expected auto, io_uring, epoll or kqueue'),
                           (["--listen", "x"], '--listen: "x": a port is missing: host:port'),
                           (["--metrics", "x"], '--metrics: "x": a port is missing: host:port'),
                           (["--user", "no-such-user"], '--user: "no-such-user": no such user'),
                           (["--user", "root:no-such"], '--user: "no-such": no such group'),
                           (["--tls-cert", "/no.pem"], '--tls-cert: "/no.pem": No such file or directory'),
                           (["--tls-cert", "/etc/passwd"], '--tls-cert: "/etc/passwd": holds no key; give it with --tls-key'),
                           (["--access-log", "/no/such/log"], '--access-log: "/no/such": No such file or directory'),
                           (["/no/such"], 'DIRECTORY: "/no/such": No such file or directory'),
                           (["/etc/passwd"], 'DIRECTORY: "/etc/passwd": not a directory')):
        done = run(program(t), *options)
        check(f"peregrine: {words}\n" in done.stderr, words, done.stderr)
        equal((done.returncode, done.stdout), (2, ""), f"status and output for {options}")


@suite.case()
def options_lie_over_the_file(t):
    with Folder() as folder:
        path = folder.write("site.yaml", HOSTS + "engine: {workers: 7, backend: epoll, memory: 64MiB}\nuser: nobody\ngroup: daemon\n"
                            "listen: [{address: ':1'}, {address: ':2'}]\nlog: {level: debug}\n")
        dump = run(program(t), "--config", path, "--dump-config", "--workers", "3", "--backend", "auto", "--pin", "-l", ":3", "--quiet",
                   "--accept-threads", "2", "--metrics", ":4", "--access-log", "a.log", "--user", "root", cwd=folder.path).stdout
        for line in ("  workers: 3", "  backend: auto", "  pin: true", "- address: :3", "  accept_threads: 2", "  memory: 64MiB",
                     "  address: :4", f"  path: {folder.path}/a.log", "user: root", "  level: error"):
            check(line + "\n" in dump, line, dump)
        for gone in (":1\n", ":2\n", "group:"):
            check(gone not in dump, f"no {gone!r}", dump)


# --- errors in the file -----------------------------------------------------------------------------------------------


@suite.case()
def what_is_no_yaml_has_its_line(t):
    refused(t, "hosts:\n  - root: [\n", "FILE:3: not YAML: while parsing a flow node, did not find expected node content")
    refused(t, "a: b: c\n", "FILE:1: not YAML: mapping values are not allowed in this context")
    refused(t, "", "FILE: is empty; expected hosts: at least")
    refused(t, HOSTS + "---\n" + HOSTS, "FILE:4: a second YAML document; expected one only")
    refused(t, "- 1\n", "FILE:1: is a list; expected keys with values")
    refused(t, b"hosts: \xff\n", "FILE:1: not YAML: invalid leading UTF-8 octet")


@suite.case()
def files_that_cannot_be_read_are_named(t):
    for path, why in (("/no/such.yaml", "No such file or directory"), ("/", "Is a directory")):
        done = run(program(t), "--check", "--config", path)
        equal((done.returncode, done.stderr), (1, f"{path}: cannot read it: {why}\n"))


@suite.case()
def unknown_keys_are_errors_with_a_suggestion(t):
    refused(t, "hosts:\n  - root: .\n    rooot: x\n", 'FILE:3: hosts[0].rooot: unknown key; did you mean "root"?')
    refused(t, HOSTS + "timeouts:\n  haed: 1s\n", 'FILE:4: timeouts.haed: unknown key; did you mean "head"?')
    refused(t, HOSTS + "nothing_like_it: 1\n", "FILE:3: nothing_like_it: unknown key; expected one of " + KEYS)
    refused(t, HOSTS + "1: 1\n", "FILE:3: 1: unknown key; expected one of " + KEYS)
    refused(t, HOSTS + "? [a]\n: 1\n", "FILE:3: a key that is no text")


@suite.case()
def missing_and_repeated_keys_are_errors(t):
    refused(t, "user: root\n", "FILE:1: hosts is missing")
    refused(t, "hosts: []\n", "FILE:1: hosts: has 0 entries; expected 1 to 4096")
    refused(t, HOSTS + "listen:\n  - tls: false\n", "FILE:4: listen[0]: address is missing")
    refused(t, "hosts:\n  - root: .\n    root: /\n", "FILE:3: hosts[0].root: is given twice")


@suite.case()
def wrong_types_say_what_was_expected(t):
    refused(t, "hosts: 5\n", 'FILE:1: hosts: "5": expected a list')
    refused(t, "hosts:\n  - x\n", 'FILE:2: hosts[0]: "x": expected keys with values')
    refused(t, "hosts:\n  - root: [a]\n", "FILE:2: hosts[0].root: is a list; expected a text")
    refused(t, "hosts:\n  - root: {a: b}\n", "FILE:2: hosts[0].root: has keys; expected a text")
    refused(t, "hosts:\n  - root:\n", "FILE:2: hosts[0].root: is empty; expected a text")
    refused(t, "hosts:\n  - root: ~\n", 'FILE:2: hosts[0].root: "~": expected a text')
    refused(t, 'hosts:\n  - root: ""\n', "FILE:2: hosts[0].root: is empty; expected a text")
    refused(t, 'hosts:\n  - root: "a\\0b"\n', "FILE:2: hosts[0].root: contains a NUL")
    refused(t, "hosts:\n  - root: .\n    names: a.org\n", 'FILE:3: hosts[0].names: "a.org": expected a list')
    refused(t, "hosts:\n  - root: .\n    autoindex: 1\n", 'FILE:3: hosts[0].autoindex: "1": expected true or false')
    refused(t, "hosts:\n  - root: .\n    autoindex: maybe\n", 'FILE:3: hosts[0].autoindex: "maybe": expected true or false')
    refused(t, "hosts:\n  - root: .\n    symlinks: never\n",
            'FILE:3: hosts[0].symlinks: "never": expected inside, deny or follow')
    refused(t, HOSTS + "engine: {backend: 1}\n", 'FILE:3: engine.backend: "1": expected auto, io_uring, epoll or kqueue')
    refused(t, HOSTS + "engine:\n", "FILE:3: engine: is empty; expected keys with values")
    refused(t, "hosts:\n  - root: .\n    error_pages: [{status: 0404, file: a}]\n",
            'FILE:3: hosts[0].error_pages[0].status: "0404": expected a whole number')
    refused(t, "hosts:\n  - root: .\n    error_pages: [{status: 99999999999, file: a}]\n",
            'FILE:3: hosts[0].error_pages[0].status: "99999999999": expected a whole number')
    refused(t, HOSTS + "health: |\n  two\n  lines\n", 'FILE:3: health: "two lines ": expected a path such as /healthz, or off')
    status, _, err = checked(t, HOSTS + f"server_name: {'x' * 9000}\n")
    equal((status, err), (1, "FILE:3: server_name: has 9000 bytes; at most 8192 are possible\n"))


@suite.case()
def numbers_have_units_and_ranges(t):
    byte_words = "expected a number of bytes such as 4096, 16KiB or 512MiB"
    refused(t, HOSTS + "limits:\n  head: 63\n", 'FILE:4: limits.head: "63": expected 64 to 65535')
    refused(t, HOSTS + "limits:\n  head: 64KiB\n", 'FILE:4: limits.head: "64KiB": expected 64 to 65535')
    refused(t, HOSTS + "limits:\n  head: 5s\n", f'FILE:4: limits.head: "5s": {byte_words}')
    refused(t, HOSTS + "limits:\n  head: -1\n", f'FILE:4: limits.head: "-1": {byte_words}')
    refused(t, HOSTS + "limits:\n  body: 99999999999999999999\n", f'FILE:4: limits.body: "99999999999999999999": {byte_words}')
    refused(t, HOSTS + "limits:\n  body: 99999999999TiB\n", f'FILE:4: limits.body: "99999999999TiB": {byte_words}')
    refused(t, HOSTS + "timeouts:\n  idle: 60\n", 'FILE:4: timeouts.idle: "60": expected a duration such as 500ms, 15s, 2m or 1h')
    refused(t, HOSTS + "timeouts:\n  idle: 0\n", 'FILE:4: timeouts.idle: "0": expected 1ms to 7d')
    refused(t, HOSTS + "engine: {receive_buffers: 9}\n", 'FILE:3: engine.receive_buffers: "9": expected a power of two')
    refused(t, HOSTS + "listen: [{address: ':0', unix_mode: '999'}]\n",
            'FILE:3: listen[0].unix_mode: "999": expected permissions such as 0660')
    for text in ("limits: {head: 64}", "limits: {head: 63 KiB}", "limits: {body: 1TiB}", "timeouts: {idle: 7d}",
                 "engine: {workers: auto}", "engine: {workers: 1024}", "files: {cache: 0}"):
        equal(checked(t, HOSTS + text + "\n"), (0, "ok\n", ""), text)


@suite.case()
def every_default_is_that_of_the_library(t):
    """docs/configuration.md is compared with the library by check_docs.py; here the program with it."""
    keys = {"accept_threads": "engine.accept_threads", "memory_bytes": "engine.memory", "recv_buf_bytes": "engine.receive_buffer",
            "recv_buf_count": "engine.receive_buffers", "head_bytes_max": "limits.head", "head_fields_max": "limits.head_fields",
            "target_bytes_max": "limits.target", "body_bytes_max": "limits.body",
            "requests_per_connection_max": "limits.requests_per_connection", "write_queue_bytes": "limits.write_queue",
            "head_timeout_ms": "timeouts.head", "idle_timeout_ms": "timeouts.idle", "rate_window_ms": "timeouts.rate_window",
            "body_rate_min": "timeouts.body_rate", "write_rate_min": "timeouts.write_rate", "linger_timeout_ms": "timeouts.linger",
            "stop_timeout_ms": "timeouts.stop"}
    keys_of = {"per_config": keys,
               "per_tls_config": {"client_depth": "tls.client_depth", "ticket_count": "tls.ticket_count",
                                  "ticket_lifetime_s": "tls.ticket_lifetime", "early_data_max": "tls.early_data",
                                  "handshake_timeout_ms": "tls.handshake_timeout", "handshakes_max": "tls.handshakes"},
               "per_static_config": {"cache_bytes": "files.cache", "cache_file_bytes": "files.cache_file",
                                     "cache_entries": "files.entries", "cache_descriptors": "files.descriptors",
                                     "check_ms": "files.check", "cache_idle_ms": "files.idle", "disk_threads": "files.disk_threads"}}
    with open(os.path.join(ROOT, "docs/configuration.md"), encoding="utf-8") as page:
        sections = {part.split("\n")[0]: part for part in page.read().split("\n## ")}
    values, section = {}, ""
    for line in run(program(t), "--dump-config").stdout.split("\n"):
        key, _, value = line.strip().partition(": ")
        section = line.strip(":\n") if re.match(r"\w+:$", line) else section
        values[f"{section}.{key}"] = value
    units = {"KiB": 1024, "MiB": 1 << 20, "GiB": 1 << 30, "": 1, "s": 1000, "ms": 1, "m": 60000, "h": 3600000}
    for struct, fields in keys_of.items():
        rows = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", sections[struct], re.MULTILINE))
        for field, key in fields.items():
            number, unit = re.match(r"([\d,]+) ?(KiB|MiB)?", rows[field]).groups()
            theirs = int(number.replace(",", "")) * units[unit or ("s" if field.endswith("_s") else "")]
            mine, my_unit = re.match(r"(\d+)(\w*)$", values[key]).groups()
            equal(int(mine) * units[my_unit], theirs, f"the default of {key}")


@suite.case()
def addresses_and_sources_are_checked(t):
    refused(t, HOSTS + "listen:\n  - address: ':80'\n  - address: '1.2.3:x'\n",
            'FILE:5: listen[1].address: "1.2.3:x": the port is no number from 0 to 65535')
    refused(t, HOSTS + "listen:\n  - address: ':80'\n    proxy: true\n", "FILE:5: listen[0].proxy: nobody is trusted: proxy_trusted "
            "is missing")
    refused(t, HOSTS + "proxy_trusted: [10.0.0.0/33]\n", 'FILE:3: proxy_trusted[0]: "10.0.0.0/33": expected a network such as '
            "10.0.0.0/8, or unix")
    for two in ("::1, unix", "::1 unix"):
        refused(t, HOSTS + f"proxy_trusted: ['{two}']\n",
                f'FILE:3: proxy_trusted[0]: "{two}": expected a network such as 10.0.0.0/8, or unix')
    refused(t, HOSTS + "listen: []\n", "FILE:3: listen: has 0 entries; expected 1 to 64")
    refused(t, HOSTS + "listen: [{address: ':80'}, {address: ':0'}, {address: ':0'}, {address: ':80'}]\n",
            'FILE:3: listen[3].address: ":80": listen[0] has it already')
    refused(t, HOSTS + "server_name: \"a\\nb\"\n", "FILE:3: server_name: cannot be the value of a field")
    refused(t, HOSTS + "metrics: {address: x}\n", 'FILE:3: metrics.address: "x": a port is missing: host:port')
    refused(t, HOSTS + "health: healthz\n", 'FILE:3: health: "healthz": expected a path such as /healthz, or off')
    refused(t, HOSTS + "user: no-such-user\n", 'FILE:3: user: "no-such-user": no such user')
    refused(t, HOSTS + "group: daemon\n", "FILE:3: group: needs user: too")
    refused(t, HOSTS + "log: {path: /no/such/log}\n", 'FILE:3: log.path: "/no/such": No such file or directory')
    refused(t, HOSTS + "access_log: {path: /etc/passwd/log}\n", 'FILE:3: access_log.path: "/etc/passwd": not a directory')
    refused(t, HOSTS + "access_log: {buffer: 100000}\n", 'FILE:3: access_log.buffer: "100000": expected a power of two')
    refused(t, HOSTS + "access_log: {path: /etc}\n", 'FILE:3: access_log.path: "/etc": is a directory; expected a file')
    with Folder() as folder, socket.socket(socket.AF_UNIX) as sock:
        path = os.path.join(folder.path, "sock")
        sock.bind(path)
        refused(t, HOSTS + f"log: {{path: {path}}}\n", f'FILE:3: log.path: "{path}": is a socket; expected a file or a FIFO')


@suite.case()
def hosts_are_checked(t):
    host = "hosts:\n  - root: .\n    "
    refused(t, "hosts:\n  - root: nowhere\n", 'FILE:2: hosts[0].root: "DIR/nowhere": No such file or directory')
    refused(t, "hosts:\n  - root: site.yaml\n", 'FILE:2: hosts[0].root: "FILE": not a directory')
    refused(t, "hosts:\n  - names: [a.org]\n", "FILE:2: hosts[0]: root is missing: nothing to serve")
    refused(t, "hosts:\n  - welcome: true\n    autoindex: true\n",
            "FILE:2: hosts[0]: root is missing: autoindex, fallback and error_pages need it")
    refused(t, host + "names: [a.org, A.org]\n", 'FILE:3: hosts[0].names[1]: "a.org" is a name of hosts[0] already')
    refused(t, host + "names: [a.org]\n  - root: .\n    names: [b.org, a.org]\n",
            'FILE:5: hosts[1].names[1]: "a.org" is a name of hosts[0] already')
    refused(t, "hosts:\n  - root: .\n  - root: .\n",
            "FILE:3: hosts[1]: names is missing; only one host may be without, and hosts[0] is")
    for name in ("a b", "a/b", "*", "*.", "a.*.org", ".a", "a..b", "[::1", "[x]", "b.org:80"):
        refused(t, host + f"names: ['{name}']\n",
                f'FILE:3: hosts[0].names[0]: "{name}": expected a name such as example.org or *.example.org')
    equal(checked(t, host + "names: [a.org, '*.a.org', 127.0.0.1, '[::1]', xn--bcher-kva.example]\n"), (0, "ok\n", ""))


@suite.case()
def fields_pages_and_redirects_are_checked(t):
    host = "hosts:\n  - root: .\n    "
    at = "FILE:3: hosts[0]."
    refused(t, host + "headers: [{name: 'a b', value: x}]\n", at + 'headers[0].name: "a b": expected the name of a field')
    refused(t, host + "headers: [{name: Date, value: x}]\n", at + 'headers[0].name: "Date" is set by the server itself')
    refused(t, host + 'headers: [{name: A, value: "x\\r\\nB: y"}]\n',
            at + "headers[0].value: expected a value without control characters and outer spaces")
    refused(t, host + "cache_control: [{match: '*', value: ' x'}]\n".replace("' x'", '" x"'),
            at + 'cache_control[0].value: expected a value such as "public, max-age=3600"')
    refused(t, host + "error_pages: [{status: 200, file: a}]\n", at + "error_pages[0].status: 200: expected 400 to 599",
            "warning: " + at + 'error_pages[0].file: "DIR/a": No such file or directory')
    refused(t, host + "error_pages: [{status: 404, file: site.yaml}, {status: 500, file: site.yaml}, {status: 404, file: site.yaml}]\n",
            at + "error_pages[2].status: 404: error_pages[0] is for it already")
    refused(t, host + "error_pages: [{status: 404, file: /a}]\n",
            at + 'error_pages[0].file: "/a": expected a file below the root, such as errors/404.html')
    for match in ("a", "/*/*"):
        refused(t, host + f"cache_control: [{{match: '{match}', value: x}}]\n",
                at + f'cache_control[0].match: "{match}": expected a path with at most one *, such as /assets/*')
        refused(t, host + f"headers: [{{match: '{match}', name: A, value: x}}]\n",
                at + f'headers[0].match: "{match}": expected a path with at most one *, such as /assets/*')
    refused(t, host + "headers: [{match: '*', name: ETag, value: x}]\n", at + 'headers[0].name: "ETag" is set by the server itself')
    for name in ("a//b", "./a", "a/..", "a/"):
        refused(t, host + f"fallback: {name}\n", at + f'fallback: "{name}": expected a file below the root, such as errors/404.html')
    long = "/".join(["x" * 99] * 11)
    refused(t, host + f"fallback: {long}\n",
            at + f'fallback: "{long[:100]}": expected a file below the root, such as errors/404.html')
    refused(t, host + "index: [..]\n", at + 'index[0]: "..": expected a name without /')
    equal(checked(t, host + "fallback: a..b/...\n"),
          (0, "ok\n", "warning: " + at + 'fallback: "DIR/a..b/...": No such file or directory\n'))
    refused(t, host + "fallback: ../a\n", at + 'fallback: "../a": expected a file below the root, such as errors/404.html')
    refused(t, host + "index: [a/b]\n", at + 'index[0]: "a/b": expected a name without /')
    refused(t, host + "redirects: [{path: /a, to: /}, {prefix: /a, to: /}, {path: /a, to: /b}]\n",
            at + "redirects[2]: has the path or prefix of redirects[0]")
    rule = at + "redirects[0]"
    refused(t, host + "redirects: [{to: /}]\n", rule + ": expected either path or prefix")
    refused(t, host + "redirects: [{path: /a, prefix: /a, to: /}]\n", rule + ": expected either path or prefix")
    refused(t, host + "redirects: [{path: a, to: /}]\n", rule + '.path: "a": expected a path such as /old')
    refused(t, host + "redirects: [{prefix: '/a?b', to: /}]\n", rule + '.prefix: "/a?b": expected a path such as /old')
    refused(t, host + "redirects: [{path: /a, to: 'b.org'}]\n",
            rule + '.to: "b.org": expected a path or an address, such as /new or https://example.org/')
    refused(t, host + "redirects: [{path: /a, to: /, status: 200}]\n", rule + ".status: 200: expected 301, 302, 303, 307 or 308")
    refused(t, HOSTS + "files: {types: [{extension: .x, type: text}]}\n",
            'FILE:3: files.types[0].extension: ".x": expected an ending without dot, such as html',
            'FILE:3: files.types[0].type: "text": expected a media type such as text/html')


@suite.case()
def tls_is_checked(t):
    host = "hosts:\n  - root: .\n    "
    refused(t, HOSTS + "listen: [{address: ':0', tls: true}]\n", "FILE:3: listen[0].tls: no host has certificates")
    refused(t, host + "https_redirect: true\n", "FILE:3: hosts[0].https_redirect: no listener has tls: true, so it would lead nowhere")
    refused(t, host + "https_port: 0\n", 'FILE:3: hosts[0].https_port: "0": expected 1 to 65535')
    refused(t, host + "hsts: {max_age: 1}\n", 'FILE:3: hosts[0].hsts.max_age: "1": expected a duration such as 500ms, 15s, 2m or 1h')
    refused(t, host + "certificates: [{cert: no.pem, key: no.key}]\n",
            'FILE:3: hosts[0].certificates[0].cert: "DIR/no.pem": No such file or directory',
            'FILE:3: hosts[0].certificates[0].key: "DIR/no.key": No such file or directory',
            "warning: FILE:3: hosts[0].certificates: no listener has tls: true, so nobody sees them")
    refused(t, host + "client_auth: required\n", "FILE:3: hosts[0].client_auth: client_ca is missing, here and in tls",
            "FILE:3: hosts[0].client_auth: a host without certificates asks for none")
    refused(t, HOSTS + "tls: {client_auth: optional}\n", "FILE:3: tls.client_auth: client_ca is missing")
    refused(t, HOSTS + "tls: {client_ca: no.pem}\n", 'FILE:3: tls.client_ca: "DIR/no.pem": No such file or directory')


@suite.case()
def settings_of_tls_have_their_line(t):
    with Folder() as folder:
        certificate(folder, "site")
        folder.write("none.pem", "x")
        for setting, complaint in (("ciphersuites: X", "ciphersuites: 'X' is no list of cipher suites of TLS 1.3"),
                                   ("groups: X", "groups: 'X' has a name that is not known, or twice"),
                                   ("client_ca: none.pem\n  client_auth: required",
                                    f"client_ca: {folder.path}/none.pem: holds no certificate in PEM (-----BEGIN ...)")):
            path = folder.write("site.yaml", "hosts:\n  - root: .\n    certificates: [{cert: site.pem, key: site.key}]\n"
                                "listen: [{address: ':0', tls: true}]\ntls:\n  " + setting + "\n")
            done = run(program(t), "--check", "--config", path)
            equal((done.returncode, done.stderr), (1, f"{path}:6: tls.{complaint}\n"))


@suite.case()
def a_host_without_names_takes_no_other_ones_clients(t):
    with Folder() as folder:
        certificate(folder, "site")
        host = "  - root: .\n    certificates: [{cert: site.pem, key: site.key}]\n"
        closed = host + "    client_auth: required\n    client_ca: site.pem\n    names: "
        listen = "listen: [{address: ':0', tls: true}]\nhosts:\n"
        complaint = "names is missing, and hosts[{}] asks clients for other certificates\n"
        for hosts, err in ((host + closed + "[a.org]\n", ""),
                           (host + closed + "['*.a.org']\n", "3: hosts[0]: " + complaint.format(1)),
                           (closed + "[a.org]\n" + host, "8: hosts[1]: " + complaint.format(0)),
                           (host.replace("root", "names: [b.org]\n    root") + closed + "['*.a.org']\n", "")):
            path = folder.write("site.yaml", listen + hosts)
            done = run(program(t), "--check", "--config", path)
            equal((done.returncode, done.stderr), (1, f"{path}:{err}") if err else (0, ""))


@suite.case()
def all_errors_come_at_once_in_order(t):
    refused(t, "timeouts: {head: 1}\nhosts:\n  - root: no\nlimits: {head: 1}\n",
            'FILE:1: timeouts.head: "1": expected a duration such as 500ms, 15s, 2m or 1h',
            'FILE:3: hosts[0].root: "DIR/no": No such file or directory', 'FILE:4: limits.head: "1": expected 64 to 65535')
    many = "".join(f"x{i}: 1\n" for i in range(60))
    status, _, err = checked(t, HOSTS + many)
    lines = err.strip().split("\n")
    equal((status, len(lines), lines[-1]), (1, 51, "and 10 more"))


# --- dump -------------------------------------------------------------------------------------------------------------


@suite.case()
def what_is_hardly_meant_is_a_warning(t):
    text = """hosts:
  - root: .
    fallback: app.html
    error_pages:
      - {status: 404, file: errors/404.html}
      - {status: 500, file: folder}
    certificates: [{cert: site.pem, key: site.key}]
access_log: {format: json}
"""
    warnings = ('warning: FILE:3: hosts[0].fallback: "DIR/app.html": No such file or directory\n'
                'warning: FILE:5: hosts[0].error_pages[0].file: "DIR/errors/404.html": No such file or directory\n'
                'warning: FILE:6: hosts[0].error_pages[1].file: "DIR/folder": is no file\n'
                "warning: FILE:7: hosts[0].certificates: no listener has tls: true, so nobody sees them\n"
                "warning: FILE:8: access_log: path is missing, so there is no access log\n")
    with Folder() as folder:
        certificate(folder, "site")
        os.makedirs(os.path.join(folder.path, "folder"))
        path = folder.write("site.yaml", text)
        done = run(program(t), "--check", "--config", path)
        equal(done.stderr.replace(path, "FILE").replace(folder.path, "DIR"), warnings, "the warnings")
        equal((done.returncode, done.stdout), (0, "ok\n"), "status and output")
        done = run(program(t), "--check", "-q", "--config", path)
        equal((done.returncode, done.stderr), (0, ""), "status and warnings with -q")
        path = folder.write("site.yaml", "hosts:\n" + "".join(f"  - {{names: [n{i}.org], root: ., health: 1}}\n" for i in range(60)))
        done = run(program(t), "--check", "--config", path)
        equal((done.returncode, done.stderr.count("unknown key"), done.stderr.split("\n")[-2]), (1, 50, "and 10 more"))
        # warnings take up no more than their share of the list
        hosts = "".join(f"  - {{names: [n{i}.org, n{i}.org], root: ., fallback: x}}\n" for i in range(25))
        done = run(program(t), "--check", "--config", folder.write("site.yaml", "hosts:\n" + hosts))
        equal((done.returncode, done.stderr.count("is a name of"), done.stderr.count("warning: "), done.stderr.split("\n")[-2]),
              (1, 25, 20, "and 5 more"))


@suite.case()
def a_dump_loads_again_to_the_same(t):
    text = """
listen:
  - {address: "[::1]:0", backlog: 10, v6only: yes}
  - {address: "unix:/tmp/p.sock", unix_mode: "0660", proxy: on}
proxy_trusted: [10.0.0.0/8, unix]
server_name: "a: b # c"
health: off
engine: {workers: 2, receive_buffer: 2048, memory: 1GiB, stack: 1MiB}
limits: &l {head: 8 KiB, requests_per_connection: 1000}
timeouts: {head: 500ms, stop: 1h}
files: {cache: 1MiB, types: [{extension: foo, type: "text/x-foo; charset=utf-8"}]}
log: {level: info}
hosts:
  - names: [Example.ORG, "*.example.org"]
    root: .
    index: [a.html, b.html]
    headers: &h [{name: X-A, value: "'quoted' \\"twice\\""}, {name: X-B, value: "yes", match: "*.css"}]
    redirects: [{path: /a, to: /b}, {prefix: /c, to: "https://d.org/", status: 308, keep_query: false}]
    error_pages: [{status: 404, file: e/404.html}]
    cache_control: [{match: "*.css", value: "public, max-age=60"}]
    hsts: {subdomains: true}
  - root: ./sub/..
    headers: *h
"""
    with Folder() as folder:
        os.mkdir(os.path.join(folder.path, "sub"))
        folder.write("e/404.html", "")
        path = folder.write("one.yaml", text)
        first = run(program(t), "--config", path, "--dump-config")
        equal((first.returncode, first.stderr), (0, ""))
        with Folder() as elsewhere:
            second = run(program(t), "--config", elsewhere.write("two.yaml", first.stdout), "--dump-config", cwd="/")
        equal(second.stdout, first.stdout, "the second dump")
        for line in ("  - example.org", "  head: 8 KiB", f"- names:\n  - example.org\n  - '*.example.org'\n  root: {folder.path}\n",
                     f"- root: {folder.path}/sub/..", "health: off", "    status: 301", "    keep_query: true", "    max_age: 365d"):
            check(line in first.stdout, line, first.stdout)
        equal(first.stdout.count("name: X-A"), 2, "headers of an alias")


@suite.case()
def a_dump_of_the_bare_program_has_every_section(t):
    with Folder() as folder:
        dump = run(program(t), "--dump-config", cwd=folder.path).stdout
    for line in ("- address: '*:3000'", f"- root: {folder.path}", "  autoindex: true", "health: /healthz", "  workers: auto",
                 "  head: 15s", "  cache: 64MiB", "  level: warning"):
        check(line + "\n" in dump, line, dump)


@suite.case()
def relative_paths_begin_beside_the_file(t):
    with Folder() as folder:
        os.mkdir(os.path.join(folder.path, "www"))
        path = folder.write("site.yaml", "log: {path: error.log}\nhosts:\n  - root: www\n")
        dump = run(program(t), "--config", path, "--dump-config", cwd="/").stdout
        check(f"  path: {folder.path}/error.log\n" in dump and f"- root: {folder.path}/www\n" in dump, "absolute paths", dump)


# --- what comes with the program --------------------------------------------------------------------------------------

KEY = re.compile(r'(?:TEXT|TEXT_NEEDED|BOOL|BOOL_OR_DEFAULT|ENUM|ITEMS|FEW|SECTION)\(struct \w+, (\w+)|CYAML_FIELD_\w+\(\s*"(\w+)"')


def keys_of_the_schema():
    with open(os.path.join(ROOT, "cmd/peregrine/config_schema.c"), encoding="ascii") as file:
        keys = {first or second for first, second in KEY.findall(file.read())}
    check(len(keys) > 80, "the keys of the schema", keys)
    return keys


@suite.case()
def the_example_is_good_and_has_every_key(t):
    with open(os.path.join(ROOT, "examples/peregrine.yaml"), encoding="ascii") as file:
        text = file.read()
    missing = [key for key in sorted(keys_of_the_schema()) if not re.search(rf"\b{key}:", text)]
    equal(missing, ["welcome"], "keys that the example does not show")
    with Folder() as folder:
        for name in ("srv/www/example.net", "var/log/peregrine"):
            os.makedirs(os.path.join(folder.path, name))
        for name in ("index.html", "errors/404.html"):
            folder.write("srv/www/example.org/" + name, "")
        certificate(folder, "etc/peregrine/example.org")
        for prefix in ("/srv/", "/var/log/", "/etc/peregrine/"):
            text = text.replace(f" {prefix}", f" {folder.path}{prefix}")
        done = run(program(t), "--check", "--config", folder.write("peregrine.yaml", text))
        equal((done.returncode, done.stdout, done.stderr), (0, "ok\n", ""))


def certificate(folder, name):
    """A certificate for example.org and its key, NAME.pem and NAME.key."""
    path = os.path.join(folder.path, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=example.org", "-addext", "subjectAltName=DNS:example.org", "-keyout", path + ".key", "-out", path + ".pem"],
                   check=True, capture_output=True)


@suite.case()
def the_manual_has_every_key_and_option(t):
    with open(os.path.join(ROOT, "docs/man/peregrine.yaml.5.scd"), encoding="ascii") as file:
        text = file.read().split("# THE WHOLE FILE")[1].split("# SEE ALSO")[0]
    equal([key for key in sorted(keys_of_the_schema()) if f"*{key}*" not in text], [], "keys that peregrine.yaml(5) lacks")
    named = set(re.findall(r"^\t?(?:\*\w+\*(?:, )?)+", text, re.MULTILINE))
    words = {word for line in named for word in re.findall(r"\*(\w+)\*", line)}
    equal(sorted(words - keys_of_the_schema()), [], "keys that do not exist")
    with open(os.path.join(ROOT, "docs/man/peregrine.1.scd"), encoding="ascii") as file:
        page = file.read()
    options = set(re.findall(r"--[a-z-]+", run(program(t), "--help").stdout))
    equal([option for option in sorted(options) if f"*{option}*" not in page], [], "options that peregrine(1) lacks")


@suite.case()
def the_units_are_understood_and_hardened(t):
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze is not installed")
    with Folder() as folder, open(os.path.join(os.path.dirname(t.args.bin), "peregrine.service"), encoding="ascii") as file:
        text = re.sub(r"=\S+/peregrine --config", f"={program(t)} --config", file.read()).replace("Documentation=", "#")
        # would give the directory of the configuration to the service, which could then write it
        check("ConfigurationDirectory=" not in text, "a configuration that belongs to root", text)
        service = folder.write("peregrine.service", text)
        socket = os.path.join(folder.path, "peregrine.socket")
        shutil.copy(os.path.join(ROOT, "cmd/peregrine/systemd/peregrine.socket"), socket)
        done = subprocess.run(["systemd-analyze", "verify", service, socket], capture_output=True, text=True, check=False)
        check(done.returncode == 0 and "peregrine" not in done.stderr, "nothing to complain about", done)
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", service], capture_output=True,
                              text=True, check=False)
        check(done.returncode == 0, "an exposure of at most 2.0", done.stdout[-300:] + done.stderr)


if __name__ == "__main__":
    sys.exit(suite.run())
