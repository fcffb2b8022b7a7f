# SPDX-License-Identifier: MIT
# test_static.py - what a client gets for a file of a served directory: fields, conditions, ranges, codings, redirects, errors
# (RFC 9110). Most cases run for files in memory, sent by the kernel, read while they are sent, without a cache, with TLS.
# What files can be, and how they change, is test_static_files.py's.
import atexit
import email.utils
import gzip
import os
import re
import shutil
import ssl
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import tls_certs  # noqa: E402
from harness import Server, Suite, check, equal  # noqa: E402

suite = Suite("static files: answers")
ROOT = tempfile.mkdtemp(prefix="peregrine-static-")
atexit.register(shutil.rmtree, ROOT, ignore_errors=True)
OLD = 1_600_000_000  # a time well in the past, for every file whose time matters
SMALL, LARGE = 6150, 300_000
PAST, FUTURE = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


def content(size, seed=1):
    return bytes((i * 31 + i // 251 + seed) % 256 for i in range(size))


def write(path, data, when=OLD):
    full = os.path.join(ROOT, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as file:
        file.write(data)
    os.utime(full, (when, when))


FILES = {
    "small.bin": content(SMALL), "large.bin": content(LARGE, 2), "empty.txt": b"", "one.txt": b"x",
    "index.html": b"<p>home\n", "docs/index.html": b"<p>docs\n", "docs/page.html": b"<p>page\n", "evil.test/index.html": b"<p>evil\n",
    "style.css": b"body { color: red }\n" * 50, "style.css.gz": gzip.compress(b"body { color: red }\n" * 50, mtime=0),
    "style.css.br": b"not really brotli", "style.css.zst": b"not really zstd",
    "big.js": content(LARGE, 3), "big.js.gz": content(LARGE // 2, 4), "data.json": b"{}", "data.json.gz": b"gz",
    "page.unknown": b"?", "UPPER.HTML": b"<p>upper\n", "noext": b"n", "deep/a/b/c.txt": b"deep\n",
    "errors/404.html": b"<p>not here\n", "errors/large.html": content(LARGE, 5), "app.html": b"<p>app\n",
    ".hidden": b"hidden\n", ".git/config": b"git\n", ".well-known/security.txt": b"contact\n", ".well-known/.secret": b"secret\n",
    "assets/app.1234.js": b"js\n",
}
for name, data in FILES.items():
    write(name, data)
write("stale.css", b"new\n", OLD + 10)
write("stale.css.gz", b"made of an older one", OLD)
write("tomorrow.txt", b"t\n", time.time() + 86400)
os.makedirs(os.path.join(ROOT, "bare"))

CERTS = tls_certs.Certs()
CERT = CERTS.make("localhost", names=("DNS:localhost",))
WAYS = {"cached": (), "memory": ("--cache-file-bytes", "1000000"), "read": ("--cache-file-bytes", "1"), "opened": ("--no-cache", "1"),
        "polled": ("--cache-file-bytes", "1", "--polled", "1"), "tls": ("--tls-cert", CERT.cert, "--tls-key", CERT.key)}
COMMON = ("--nosniff", "1", "--cache-control", "/assets/*=public, max-age=31536000, immutable", "--cache-control", "*.json=no-store",
          "--cache-control", "*=no-cache", "--field", "=X-Everywhere=yes", "--field", "*.json=X-Only-Json=yes", "--type",
          "unknown=application/x-known", "--type", "json=application/manifest+json")


def server(t, key, *options):
    return t.shared_server(key, lambda: Server([t.program("static_app"), "--root", ROOT, *options, "--port", "0", "--workers", "1",
                                                "--backend", t.args.backend], ready=re.compile("^ready$")))


def plain(t):
    return server(t, "plain")


def each_way(t):
    """(way, connection) for every way in which a file can be kept."""
    for way, options in WAYS.items():
        with server(t, way, *options).connect() as c:
            if way == "tls":
                c.sock = ssl.create_default_context(cafile=CERT.cert).wrap_socket(c.sock, server_hostname="localhost")
            yield way, c


def stamp(seconds):
    return email.utils.formatdate(seconds, usegmt=True)


# --- a file -----------------------------------------------------------------------------------------------------


@suite.case("RFC 9110 8")
def a_file_and_its_fields(t):
    for way, c in each_way(t):
        for name in ("small.bin", "large.bin", "empty.txt", "one.txt", "deep/a/b/c.txt"):
            got = c.get("/" + name)
            equal((got.status, got.body), (200, FILES[name]), f"{way}: {name}")
            equal(got.get("content-length"), str(len(FILES[name])))
            equal(got.get("last-modified"), stamp(OLD))
            equal(got.get("accept-ranges"), "bytes")
            check(re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', got.get("etag")), "a strong entity-tag", got)
            check(not got.all("vary"), "no Vary where nothing varies", got)


@suite.case("RFC 9110 9.3.2")
def head_has_the_same_fields_and_no_body(t):
    for way, c in each_way(t):
        for name in ("small.bin", "large.bin", "empty.txt", "style.css"):
            full, head = c.get("/" + name), c.get("/" + name, method="HEAD")
            equal((head.status, head.body), (200, b""), f"{way}: {name}")
            equal([h for h in head.headers if h[0] != "Date"], [h for h in full.headers if h[0] != "Date"], "the same fields")


@suite.case("RFC 9110 9.1, 15.5.6")
def other_methods(t):
    with plain(t).connect() as c:
        for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
            got = c.get("/small.bin", method=method, body=b"body" if method in ("POST", "PUT") else None)
            equal((got.status, got.get("allow")), (405, "GET, HEAD, OPTIONS"), method)
        got = c.get("/small.bin", method="OPTIONS")
        equal((got.status, got.get("allow")), (204, "GET, HEAD, OPTIONS"))
        equal(c.get("/one.txt").body, b"x", "the connection goes on")


@suite.case("RFC 9110 8.3")
def media_types(t):
    with server(t, "common", *COMMON).connect() as c:
        for path, wanted in (("/index.html", "text/html"), ("/UPPER.HTML", "text/html"), ("/style.css", "text/css"),
                             ("/big.js", "text/javascript"), ("/one.txt", "text/plain")):
            got = c.get(path, method="HEAD").get("content-type")
            check(got.split(";")[0] == wanted and "utf-8" in got.lower(), wanted + " with its charset", got)
        equal(c.get("/noext").get("content-type"), "application/octet-stream")
        equal(c.get("/small.bin").get("content-type"), "application/octet-stream")
        equal(c.get("/page.unknown").get("content-type"), "application/x-known", "configured")
        equal(c.get("/data.json").get("content-type"), "application/manifest+json", "instead of the built-in one")


@suite.case()
def cache_control_and_fields_follow_rules(t):
    with server(t, "common", *COMMON).connect() as c:
        for path, wanted in (("/assets/app.1234.js", "public, max-age=31536000, immutable"), ("/data.json", "no-store"),
                             ("/", "no-cache"), ("/small.bin", "no-cache")):
            equal(c.get(path).all("cache-control"), [wanted], path)
        equal(c.get("/data.json").all("x-only-json"), ["yes"])
        equal(c.get("/small.bin").all("x-only-json"), [])
        for path, status in (("/small.bin", 200), ("/missing", 404), ("/docs", 301), ("/bare/", 403)):
            got = c.get(path)
            equal((got.status, got.all("x-everywhere"), got.all("x-content-type-options")), (status, ["yes"], ["nosniff"]), path)


@suite.case()
def fields_of_the_application_are_sent_too(t):
    with plain(t).connect() as c:
        for name in ("small.bin", "large.bin"):
            got = c.get("/-/field/" + name)
            equal((got.all("x-added"), got.body), (["yes"], FILES[name]))


@suite.case("RFC 9112 9.3")
def versions_and_persistence(t):
    for _, c in each_way(t):
        equal(c.get("/large.bin", "Connection: keep-alive", version="1.0").body, FILES["large.bin"])
        got = c.get("/large.bin", "Connection: close")
        equal((got.body, got.closes), (FILES["large.bin"], True))
        c.expect_close()


@suite.case("RFC 9112 9.3.2")
def pipelined_requests_are_answered_in_order(t):
    names = ["small.bin", "large.bin", "missing", "one.txt", "large.bin", "style.css", "small.bin"] * 4
    for way, c in each_way(t):
        c.send(b"".join(f"GET /{name} HTTP/1.1\r\nHost: test\r\n\r\n".encode() for name in names))
        for name in names:
            got = c.response()
            equal(got.body if got.status == 200 else got.status, FILES.get(name, 404), f"{way}: {name}")


@suite.case("RFC 9110 8.8.2.1")
def a_time_to_come_is_not_sent(t):
    for _, c in each_way(t):
        got = c.get("/tomorrow.txt")
        equal(got.status, 200)
        check(email.utils.parsedate_to_datetime(got.get("last-modified")) <= email.utils.parsedate_to_datetime(got.get("date")),
              "Last-Modified not after Date", got)


# --- conditions -------------------------------------------------------------------------------------------------

# (fields, status); {etag} is the file's, {modified} its time
CONDITIONS = [
    (["If-None-Match: {etag}"], 304), (['If-None-Match: "other", {etag}'], 304), (["If-None-Match: W/{etag}"], 304),
    (["If-None-Match: *"], 304), (['If-None-Match: "other"'], 200), (['If-None-Match: "other"', "If-None-Match: {etag}"], 304),
    (["If-Modified-Since: {modified}"], 304), ([f"If-Modified-Since: {FUTURE}"], 304), ([f"If-Modified-Since: {PAST}"], 200),
    (["If-Modified-Since: yesterday"], 200),
    (['If-None-Match: "other"', "If-Modified-Since: {modified}"], 200),  # 13.1.3: the date does not count then
    (["If-Match: {etag}"], 200), (["If-Match: *"], 200), (['If-Match: "other"'], 412), (["If-Match: W/{etag}"], 412),
    (["If-Unmodified-Since: {modified}"], 200), ([f"If-Unmodified-Since: {PAST}"], 412),
    (["If-Match: {etag}", f"If-Unmodified-Since: {PAST}"], 200),  # 13.1.4
    (["If-Match: {etag}", "If-None-Match: {etag}"], 304), (['If-Match: "other"', "If-None-Match: {etag}"], 412),
]


@suite.case("RFC 9110 13.1, 13.2.2")
def conditions(t):
    for way, c in each_way(t):
        for name in ("small.bin", "large.bin"):
            full = c.get("/" + name)
            words = {"etag": full.get("etag"), "modified": full.get("last-modified")}
            for method in ("GET", "HEAD"):
                for fields, status in CONDITIONS:
                    got = c.get("/" + name, *[f.format(**words) for f in fields], method=method)
                    equal(got.status, status, f"{way} {method} {name} {fields}")
                    if status == 200 and method == "GET":
                        equal(got.body, FILES[name])


@suite.case("RFC 9110 15.4.5")
def not_modified_tells_what_it_is_about(t):
    with server(t, "common", *COMMON).connect() as c:
        full = c.get("/style.css", "Accept-Encoding: gzip")
        got = c.get("/style.css", "Accept-Encoding: gzip", "If-None-Match: " + full.get("etag"))
        equal(got.status, 304)
        for name in ("etag", "vary", "cache-control"):
            equal(got.all(name), full.all(name), name)
        for name in ("content-type", "content-encoding", "content-length", "content-range"):
            equal(got.all(name), [], name)


@suite.case("RFC 9110 13.2.1")
def conditions_do_not_count_for_what_is_not_there(t):
    with plain(t).connect() as c:
        for field in ("If-None-Match: *", "If-Match: *", f"If-Unmodified-Since: {PAST}"):
            equal(c.get("/missing", field).status, 404, field)
            equal(c.get("/docs", field).status, 301, field)


# --- ranges -----------------------------------------------------------------------------------------------------

RANGES = [  # (value, first and last or a status)
    ("bytes=0-0", (0, 0)), ("bytes=0-99", (0, 99)), ("bytes=5-", (5, -1)), ("bytes=-10", (-10, -1)), ("bytes=100-200", (100, 200)),
    ("bytes=0-99999999999", (0, -1)), ("bytes=-99999999999", (0, -1)), ("bytes=99999999999-", 416), ("bytes=-0", 416),
    ("bytes=2-1", 200), ("bytes=x-y", 200), ("chars=0-1", 200), ("bytes 0-1", 200), ("bytes=", 200),
    ("bytes=0-49,50-99", (0, 99)), ("bytes=10-20,15-30,5-12", (5, 30)), ("bytes=0-0," * 17 + "0-0", 200),
    ("bytes=1-2,99999999999-", (1, 2)),
]


@suite.case("RFC 9110 14.1, 14.2, 15.3.7, 15.5.17")
def single_ranges(t):
    for way, c in each_way(t):
        for name in ("small.bin", "large.bin"):
            data = FILES[name]
            for value, wanted in RANGES:
                got = c.get("/" + name, "Range: " + value)
                what = f"{way} {name} {value}"
                if wanted == 416:
                    equal((got.status, got.get("content-range")), (416, f"bytes */{len(data)}"), what)
                elif wanted == 200:
                    equal((got.status, got.body, got.all("content-range")), (200, data, []), what)
                else:
                    first, last = (at % len(data) for at in wanted)
                    equal((got.status, got.get("content-range")), (206, f"bytes {first}-{last}/{len(data)}"), what)
                    check(got.body == data[first:last + 1], "the bytes of the range", what)


def parts_of(got):
    """[(content-range, bytes)] of a multipart/byteranges body."""
    boundary = re.fullmatch(r"multipart/byteranges; boundary=([A-Za-z0-9-]+)", got.get("content-type")).group(1).encode()
    pieces = (b"\r\n" + got.body).split(b"\r\n--" + boundary)
    equal((pieces[0], pieces[-1].strip()), (b"", b"--"), "a body that begins and ends with the boundary")
    found = []
    for piece in pieces[1:-1]:
        head, _, data = piece.partition(b"\r\n\r\n")
        found.append((re.search(rb"Content-Range: ([^\r]*)", head).group(1).decode(), data))
        check(b"Content-Type: " in head, "a type in each part", head)
    return found


@suite.case("RFC 9110 14.6, 15.3.7.2")
def several_ranges(t):
    for way, c in each_way(t):
        for name in ("small.bin", "large.bin"):
            data = FILES[name]
            for value, spans in (("bytes=0-9,20-29", [(0, 9), (20, 29)]), ("bytes=500-600,0-9,-5", [(500, 600), (0, 9), (-5, -1)]),
                                 ("bytes=" + ",".join(f"{i * 100}-{i * 100 + 9}" for i in range(16)),
                                  [(i * 100, i * 100 + 9) for i in range(16)]),
                                 (f"bytes=0-{len(data) // 2},{len(data) // 2 + 2}-", [(0, len(data) // 2), (len(data) // 2 + 2, -1)])):
                got = c.get("/" + name, "Range: " + value)
                equal(got.status, 206, f"{way} {name} {value}")
                equal((got.all("content-range"), len(got.all("content-type"))), ([], 1), "none in the head, and one type")
                wanted = [(a % len(data), b % len(data)) for a, b in spans]
                check(parts_of(got) == [(f"bytes {a}-{b}/{len(data)}", data[a:b + 1]) for a, b in wanted], "the parts", value)


@suite.case("RFC 9110 13.1.5, 14.2")
def ranges_that_do_not_count(t):
    for way, c in each_way(t):
        full = c.get("/small.bin")
        for field, status in ((f"If-Range: {full.get('etag')}", 206), ('If-Range: "other"', 200), (f"If-Range: W/{full.get('etag')}", 200),
                              (f"If-Range: {full.get('last-modified')}", 206), (f"If-Range: {PAST}", 200),
                              (f"If-None-Match: {full.get('etag')}", 304), ('If-Match: "other"', 412)):
            equal(c.get("/small.bin", "Range: bytes=0-9", field).status, status, f"{way}: {field}")
        got = c.get("/small.bin", "Range: bytes=0-9", method="HEAD")
        equal((got.status, got.get("content-length")), (200, str(SMALL)), "only GET knows ranges")
        equal(c.get("/empty.txt", "Range: bytes=0-0").status, 416)
        equal(c.get("/missing", "Range: bytes=0-9").status, 404)


# --- codings ----------------------------------------------------------------------------------------------------


@suite.case("RFC 9110 12.5.3")
def siblings_by_weight(t):
    cases = [("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("gzip, br", "br"), ("gzip;q=1.0, br;q=0.5", "gzip"),
             ("gzip;q=0.1, br;q=0.1, zstd;q=0.2", "zstd"), ("deflate", None), ("identity", None), ("gzip;q=0", None), ("*", "br"),
             ("*;q=0", None), ("br;q=0, *", "zstd"), ("gzip;q=0.5, identity;q=1", None), ("GZIP", "gzip"), ("x-gzip", "gzip"), ("", None)]
    suffix = {"gzip": ".gz", "br": ".br", "zstd": ".zst", None: ""}
    for way, c in each_way(t):
        tags = set()
        for value, coding in cases:
            got = c.get("/style.css", "Accept-Encoding: " + value)
            equal((got.status, got.get("content-encoding"), got.body), (200, coding, FILES["style.css" + suffix[coding]]), f"{way}: {value}")
            equal((got.all("vary"), got.get("content-type").split(";")[0]), (["Accept-Encoding"], "text/css"))
            tags.add((coding, got.get("etag")))
        equal(len(tags), 4, "one entity-tag for each coding")
        equal(len({tag for _, tag in tags}), 4, "entity-tags that differ")
        equal(c.get("/style.css").get("content-encoding"), None, "nothing is known of a client that does not say")
        equal(c.get("/style.css", "Accept-Encoding: gzip;q=0.5", "Accept-Encoding: br").get("content-encoding"), "br", "two lines")


@suite.case("RFC 9110 8.8.3.3, 14.2")
def conditions_and_ranges_are_about_the_coding_that_is_sent(t):
    for way, c in each_way(t):
        for name in ("style.css", "big.js"):
            data, packed = FILES[name], FILES[name + ".gz"]
            whole, zipped = c.get("/" + name), c.get("/" + name, "Accept-Encoding: gzip")
            equal((whole.body == data, zipped.body == packed), (True, True), f"{way} {name}")
            got = c.get("/" + name, "Accept-Encoding: gzip", "Range: bytes=3-9")
            equal((got.status, got.body, got.get("content-range"), got.get("content-encoding")),
                  (206, packed[3:10], f"bytes 3-9/{len(packed)}", "gzip"))
            equal(c.get("/" + name, "Accept-Encoding: gzip", "If-None-Match: " + whole.get("etag")).status, 200)
            equal(c.get("/" + name, "Accept-Encoding: gzip", "If-None-Match: " + zipped.get("etag")).status, 304)
            equal(c.get("/" + name, "Accept-Encoding: gzip", "Range: bytes=3-9", "If-Range: " + whole.get("etag")).status, 200)


@suite.case()
def an_older_sibling_is_not_sent(t):
    for way, c in each_way(t):
        got = c.get("/stale.css", "Accept-Encoding: gzip")
        equal((got.body, got.get("content-encoding"), got.all("vary")), (b"new\n", None, []), way)


@suite.case()
def siblings_can_be_switched_off(t):
    with server(t, "no siblings", "--no-precompressed", "1").connect() as c:
        got = c.get("/style.css", "Accept-Encoding: br, gzip")
        equal((got.body, got.get("content-encoding"), got.all("vary")), (FILES["style.css"], None, []))
        equal(c.get("/style.css.gz").body, FILES["style.css.gz"], "as a file it is there")


# --- directories, errors ----------------------------------------------------------------------------------------


@suite.case("RFC 9110 15.4.2")
def a_directory_without_slash_is_redirected(t):
    for way, c in each_way(t):
        for target, where in (("/docs", "/docs/"), ("/docs?x=1&y=%20", "/docs/?x=1&y=%20"), ("/deep/a", "/deep/a/"),
                              ("/d%6fcs", "/docs/"), ("/evil.test", "/evil.test/"), ("//evil.test", None), ("///evil.test", None)):
            got = c.get(target)
            equal(got.status, 301, f"{way}: {target}")
            location = got.get("location")
            check(location.startswith("./") and "//" not in location, "a reference that cannot lead to another host", location)
            if where:
                equal(urllib.parse.urljoin("http://test" + target, location), "http://test" + where, target)
        equal(c.get("/docs/").body, FILES["docs/index.html"])
        equal(c.get("/").body, FILES["index.html"])


@suite.case()
def paths_below_a_prefix(t):
    with plain(t).connect() as c:
        equal(c.get("/-/under/small.bin").body, FILES["small.bin"])
        equal(c.get("/-/under/docs").get("location"), "./docs/")
        equal(c.get("/-/under/docs/").body, FILES["docs/index.html"])


@suite.case()
def what_is_no_file(t):
    for way, c in each_way(t):
        for path, status in (("/missing", 404), ("/small.bin/", 404), ("/small.bin/x", 404), ("/bare/", 403), ("/bare", 301),
                             ("/missing/", 404), ("/" + "x" * 300, 404), ("/" + "y/" * 2000, 404), ("/%00", 400), ("/%zz", 400)):
            got = c.get(path)
            equal(got.status, status, f"{way}: {path[:40]}")
            check(got.body, "a few words", got)


@suite.case()
def index_files(t):
    with server(t, "index", "--index", "nothing.html", "--index", "page.html", "--index", "index.html").connect() as c:
        equal(c.get("/docs/").body, FILES["docs/page.html"], "the first that is there")
        equal(c.get("/").body, FILES["index.html"])
    with server(t, "no index", "--no-index", "1").connect() as c:
        equal((c.get("/docs/").status, c.get("/docs/index.html").status), (403, 200))


@suite.case("RFC 8615")
def names_that_begin_with_a_dot(t):
    hidden = ("/.hidden", "/.git/config", "/.git/", "/.well-known/.secret", "/%2ehidden", "/docs/.hidden")
    for _, c in each_way(t):
        for path in hidden:
            equal(c.get(path).status, 404, path)
        equal(c.get("/.well-known/security.txt").body, FILES[".well-known/security.txt"])
    with server(t, "dotfiles", "--dotfiles", "1").connect() as c:
        equal((c.get("/.hidden").body, c.get("/.git/config").body), (b"hidden\n", b"git\n"))
        equal(c.get("/../.hidden").status, 400, "a dot segment is none")


@suite.case()
def fallback_of_an_application(t):
    for options in ((), ("--no-cache", "1")):
        with server(t, ("fallback", options), "--fallback", "app.html", *options).connect() as c:
            for path in ("/route", "/route/to/7", "/user/john.doe", "/missing/"):
                got = c.get(path)
                equal((got.status, got.body, got.get("content-type").split(";")[0]), (200, FILES["app.html"], "text/html"), path)
            for path in ("/missing.js", "/route/missing.css", "/missing.png"):
                equal(c.get(path).status, 404, path)
            equal(c.get("/one.txt").body, b"x")
            equal((c.get("/docs").status, c.get("/bare/").status, c.get("/.hidden").status), (301, 403, 404))
            tag = c.get("/route").get("etag")
            equal(c.get("/other", "If-None-Match: " + tag).status, 304)
    for name in ("not/there.html", "docs"):
        with server(t, "no fallback: " + name, "--fallback", name).connect() as c:
            equal(c.get("/route").status, 404)


@suite.case()
def error_pages(t):
    pages = ("--error-page", "404=errors/404.html", "--error-page", "405=errors/404.html", "--error-page", "403=errors/large.html",
             "--error-page", "416=errors/not-there.html", "--error-page", "503=errors/404.html")
    for options in ((), ("--no-cache", "1")):
        with server(t, ("pages", options), *pages, *options).connect() as c:
            for _ in range(2):
                got = c.get("/missing", "Range: bytes=0-1", "If-None-Match: *")
                equal((got.status, got.body, got.get("content-type").split(";")[0]), (404, FILES["errors/404.html"], "text/html"))
                equal((got.all("etag"), got.all("last-modified")), ([], []), "an error is no representation of its page")
                got = c.get("/bare/")
                equal((got.status, got.body), (403, FILES["errors/large.html"]))
                got = c.get("/missing", method="HEAD")
                equal((got.status, got.get("content-length"), got.body), (404, str(len(FILES["errors/404.html"])), b""))
                got = c.get("/bare/", method="HEAD")
                equal((got.status, got.get("content-length")), (403, str(LARGE)))
                got = c.get("/one.txt", method="POST")
                equal((got.status, got.get("allow"), got.body), (405, "GET, HEAD, OPTIONS", FILES["errors/404.html"]))
                got = c.get("/one.txt", "Range: bytes=7-")
                equal((got.status, got.get("content-range"), got.body), (416, "bytes */1", b"Range Not Satisfiable\n"))
                equal(c.get("/errors/404.html").status, 200)
                got = c.get("/-/error/503")
                equal((got.status, got.body), (503, FILES["errors/404.html"]))
                equal((c.get("/-/error/500").status, c.get("/-/error/500").body), (500, b"Internal Server Error\n"))


if __name__ == "__main__":
    sys.exit(suite.run())
