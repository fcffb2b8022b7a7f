# SPDX-License-Identifier: MIT
# test_static_files.py - what files can be and what happens to them: odd names, links, FIFOs and devices, hostile paths, changes
# between and during answers, a full cache, no descriptors, a gigabyte. Fields and conditions are test_static.py's.
import atexit
import json
import mmap
import os
import random
import re
import resource
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from harness import Closed, Failure, Reset, Server, Skip, Suite, build_support, check, equal, is_instrumented  # noqa: E402

suite = Suite("static files: what files are")
BASE = tempfile.mkdtemp(prefix="peregrine-static-")
atexit.register(shutil.rmtree, BASE, ignore_errors=True)
os.chmod(BASE, 0o755)  # for the case that runs as somebody else
CANARY = b"the canary outside of the root\n"
SEED = int(os.environ.get("PER_SEED", "0"), 0) or random.SystemRandom().getrandbits(32)


def content(size, seed=1):
    return (bytes((i * 7 + seed) % 256 for i in range(256)) * (size // 256 + 1))[:size]


class Tree:
    """A root with a canary beside it."""

    def __init__(self, name):
        self.base = os.path.join(BASE, name)
        self.root = os.path.join(self.base, "root")
        os.makedirs(self.root)
        self.write("../canary.txt", CANARY)
        self.write("inside.txt", b"inside\n")

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(data)

    def replace(self, name, data):
        """As a careful program does: another file takes its place."""
        self.write(name + ".new", data)
        os.rename(self.path(name + ".new"), self.path(name))


def app(t, tree, *options, workers="1", wrapper=(), **kw):
    program = [t.program("static_app"), "--root", tree.root, "--port", "0", "--workers", workers, "--backend", t.args.backend]
    return Server([*program, *options], ready=re.compile("^ready$"), wrapper=wrapper, **kw)


def stats(c):
    return {k: int(v) for k, v in (pair.split("=") for pair in c.get("/-/stats").body.decode().split())}


def until(condition, what, tries=2000):
    last = None
    for _ in range(tries):
        last = condition()
        if last:
            return last
        threading.Event().wait(0.005)
    raise Failure(what, f"never in {tries} looks (last {last!r})")


def quoted(name):
    return "/" + "".join(f"%{byte:02x}" for byte in (name if isinstance(name, bytes) else name.encode()))


def ways(t):
    """Wrappers: as it is, and without openat2()."""
    yield ()
    if sys.platform.startswith("linux"):
        yield (t.program("deny_openat2_app"),)


# --- names ------------------------------------------------------------------------------------------------------


@suite.case()
def odd_names(t):
    tree = Tree("odd")
    names = ["a b.txt", "per%cent.txt", "per%2fcent", "question?.txt", "hash#.txt", "plus+and&.txt", "quote'\".txt", "semi;colon=x",
             "caf\u00e9.txt", "\u65e5\u672c\u8a9e", "n" * 255, "...", "..x", "x..", "a..b", "~", "*", "<script>", "{x}", "$HOME", "-rf", " ",
             b"\xff\xfe.bin", b"\xc0\xae", "tab".join(["a", "b"]), "d/" * 60 + "deep"]
    for name in names:
        tree.write(os.fsdecode(name) if isinstance(name, bytes) else name, b"of " + (name if isinstance(name, bytes) else name.encode()))
    for wrapper in ways(t):
        with t.serving(app(t, tree, "--dotfiles", "1", wrapper=wrapper)) as server, server.connect() as c:
            for name in names:
                got = c.get("/".join(quoted(part)[1:] for part in ("/" + name).split("/")) if isinstance(name, str) else quoted(name))
                equal((got.status, got.body), (200, b"of " + (name if isinstance(name, bytes) else name.encode())), repr(name)[:60])
            equal(c.get("/a%20b.txt?x=1").status, 200)
            equal(c.get("/" + "n" * 256).status, 404)


def hostile_paths(rng):
    """Paths that ought to lead nowhere, made of pieces that have fooled servers."""
    ups = ["..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..;", "..;x", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%uff0e%uff0e", "..%00", "..%20",
           "...", "....", ".%00.", "%2e%2e%2f..", "..\\", "..%5c", "%5c..", "\\..", "..%255c", "%ff%2e%2e", ". .", "..%0d%0a", "..%09",
           "%25%32%65%25%32%65", "..%c0%af", "..%e2%88%95", "..%ef%bc%8f"]
    joints = ["/", "//", "/./", "%2f", "%2F", "\\", "%5c", "%252f", "/%2e/", "%c0%af", "%e0%80%af", ";/", "/x/../", "/dir/%2e%2e/", "%00/", "///"]
    ends = ["canary.txt", "canary.txt%00", "canary.txt%00.html", "canary.txt/", "canary.txt?", "canary%2etxt", "CANARY.TXT", "canary.txt;x",
            "root/../canary.txt", "canary.txt%20", "canary.txt.", "./canary.txt"]
    starts = ["/", "//", "/dir/", "/dir//", "/inside.txt/", "/%2f", "/.", "/./", "/%2e/", "/\\", "/link-dir/", "/~/", "/%00", "/%ff/"]
    for up in ups:
        for joint in joints:
            yield "/" + up + joint + "canary.txt"
            yield "/dir/" + up + joint + up + joint + "canary.txt"
    for _ in range(4000):
        path = rng.choice(starts)
        for _ in range(rng.randint(1, 5)):
            path += rng.choice(ups) + rng.choice(joints)
        yield path + rng.choice(ends)
    for prefix in ("", "/", "file://", "/proc/self/root", "/proc/self/cwd", "/dev/fd/3", "/dev/stdin"):
        yield "/" + prefix + BASE + "/canary.txt"


@suite.case("RFC 3986 5.2.4")
def hostile_paths_lead_nowhere(t):
    tree = Tree("hostile")
    tree.write("dir/page.html", b"page\n")
    tree.write("deep/../../base-canary.txt", CANARY)
    os.symlink("../canary.txt", tree.path("link"))
    os.symlink("..", tree.path("link-dir"))
    os.symlink(BASE, tree.path("link-absolute"))
    rng = random.Random(SEED)
    for wrapper in ways(t):
        with t.serving(app(t, tree, "--dotfiles", "1", wrapper=wrapper)) as server:
            asked = 0
            paths = list(hostile_paths(rng)) + ["/link", "/link-dir/canary.txt", "/link-dir/", "/link-absolute/canary.txt"]
            while paths:
                batch, paths = paths[:50], paths[50:]
                # what does not even fit a request line ends the connection: a new one for each batch, and for what is left of it
                while batch:
                    with server.connect() as c:
                        c.send(b"".join(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: test\r\n\r\n" for path in batch))
                        while batch:
                            path = batch.pop(0)
                            got = c.response()
                            asked += 1
                            check(CANARY not in got.body and got.status in (301, 400, 403, 404), "no leak (PER_SEED=%#x)" % SEED, got, path)
                            if got.closes:
                                break
            check(asked > 4000, "thousands of paths", asked)


# --- kinds of files ---------------------------------------------------------------------------------------------


@suite.case()
def links_inside_of_the_root(t):
    tree = Tree("links")
    tree.write("real/file.txt", b"real\n")
    for where, name in (("real/file.txt", "file"), ("real", "dir"), ("dir", "dir2"), ("../real/file.txt", "real/round"), ("./real/../real/file.txt", "dots"),
                        ("../root/real/file.txt", "out-and-in"), ("../canary.txt", "up"), ("real/../../canary.txt", "up2"), ("/etc/passwd", "absolute"),
                        (tree.path("real/file.txt"), "absolute-inside"), ("loop-b", "loop-a"), ("loop-a", "loop-b"), ("nowhere", "dangling")):
        os.symlink(where, tree.path(name))
    good = ("/file", "/dir/file.txt", "/dir2/file.txt", "/real/round", "/dots")
    bad = ("/out-and-in", "/up", "/up2", "/absolute", "/absolute-inside", "/loop-a", "/loop-a/x")
    for wrapper in ways(t):
        with t.serving(app(t, tree, wrapper=wrapper)) as server, server.connect() as c:
            for path in good:
                equal((c.get(path).status, c.get(path).body), (200, b"real\n"), path)
            for path in bad:
                equal(c.get(path).status, 403, path)
            equal((c.get("/dangling").status, c.get("/dir").status), (404, 301))
        with t.serving(app(t, tree, "--links", "1", wrapper=wrapper)) as server, server.connect() as c:
            for path in (*good, *bad, "/dangling"):
                equal(c.get(path).status, 403, "never: " + path)
            equal(c.get("/real/file.txt").status, 200)
        with t.serving(app(t, tree, "--links", "2", wrapper=wrapper)) as server, server.connect() as c:
            for path in (*good, "/out-and-in", "/absolute-inside"):
                equal(c.get(path).body, b"real\n", "anywhere: " + path)
            equal(c.get("/up").body, CANARY, "as was asked for")
            equal((c.get("/loop-a").status, c.get("/dangling").status), (403, 404))


@suite.case()
def what_is_no_regular_file(t):
    tree = Tree("kinds")
    os.mkfifo(tree.path("fifo"))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(tree.path("socket"))
    os.mkfifo(tree.path("inside.txt.gz"))
    os.mkdir(tree.path("inside.txt.br"))
    kinds = ["fifo", "socket"]
    for name, number in (("null", os.makedev(1, 3)), ("zero", os.makedev(1, 5)), ("tty", os.makedev(5, 0))):
        try:
            os.mknod(tree.path(name), stat.S_IFCHR | 0o666, number)
            kinds.append(name)
        except OSError:
            pass  # not everybody may
    os.makedirs(tree.path("index-is-fifo"))
    os.mkfifo(tree.path("index-is-fifo/index.html"))
    for wrapper in ways(t):
        with t.serving(app(t, tree, wrapper=wrapper)) as server, server.connect() as c:
            for _ in range(3):
                for kind in kinds:
                    equal(c.get("/" + kind).status, 403, kind)
                equal(c.get("/index-is-fifo/").status, 403)
                equal(c.get("/inside.txt", "Accept-Encoding: gzip, br").body, b"inside\n", "siblings that are no files")


@suite.case()
def what_may_not_be_read(t):
    tree = Tree("unreadable")
    tree.write("secret.txt", b"secret\n")
    tree.write("closed/page.html", b"page\n")
    tree.write("searchable/page.html", b"page\n")
    os.chmod(tree.path("secret.txt"), 0)
    os.chmod(tree.path("closed"), 0)
    os.chmod(tree.path("searchable"), 0o711)
    nobody = {"preexec": lambda: (os.setgid(65534), os.setuid(65534))} if os.geteuid() == 0 else {}
    try:
        with t.serving(app(t, tree, **nobody)) as server, server.connect() as c:
            for _ in range(2):
                equal([c.get(p).status for p in ("/secret.txt", "/closed/page.html", "/closed/")], [403, 403, 403])
                equal((c.get("/searchable/page.html").body, c.get("/inside.txt").status), (b"page\n", 200))
    finally:
        os.chmod(tree.path("closed"), 0o755)


# --- lists ------------------------------------------------------------------------------------------------------


def listed(c, path, *fields):
    got = c.get(path, "Accept: application/json", *fields)
    equal((got.status, got.get("content-type"), got.all("vary")), (200, "application/json", ["Accept"]), path)
    return {one["name"]: one for one in json.loads(got.body)}


@suite.case()
def a_list_of_a_directory(t):
    tree = Tree("list")
    for name in ("a.txt", "b c & <d>.txt", "caf\u00e9", "list/deep/x", "list/.hidden", "list/index.txt"):
        tree.write(name, b"12345")
    os.symlink("a.txt", tree.path("good-link"))
    os.symlink("list", tree.path("dir-link"))
    os.symlink("../canary.txt", tree.path("bad-link"))
    os.symlink("nowhere", tree.path("dangling"))
    os.mkfifo(tree.path("fifo"))
    for wrapper in ways(t):
        with t.serving(app(t, tree, "--listing", "1", "--nosniff", "1", wrapper=wrapper)) as server, server.connect() as c:
            found = listed(c, "/")
            equal(sorted(found), sorted(["a.txt", "b c & <d>.txt", "caf\u00e9", "dir-link", "good-link", "inside.txt", "list"]))
            equal((found["a.txt"]["size"], found["a.txt"]["type"], found["dir-link"]["type"]), (5, "file", "directory"))
            for one in found.values():  # each reference leads there
                equal(c.get("/" + one["href"]).status, 200, one)
            equal(sorted(listed(c, "/list/")), ["deep", "index.txt"])
            got = c.get("/list/", "Accept: text/html")
            check(got.get("content-type").startswith("text/html") and b"<title>" in got.body, "a page", got)
            equal((got.all("x-content-type-options"), got.all("vary")), (["nosniff"], ["Accept"]))
            page = c.get("/").body
            check(b"b%20c" in page and b"<d>" not in page, "names that are escaped", page)
            tag = got.get("etag")
            equal(c.get("/list/", "Accept: text/html", "If-None-Match: " + tag).status, 304)
            equal(c.get("/list/", "Accept: application/json", "If-None-Match: " + tag).status, 200, "another representation")
            head = c.get("/list/", "Accept: text/html", method="HEAD")
            equal((head.status, head.get("content-length")), (200, got.get("content-length")))
            equal((c.get("/list").status, c.get("/list/missing/").status, c.get("/a.txt/").status), (301, 404, 404))
            equal(c.get("/list/", "Range: bytes=0-9").status, 200)
        with t.serving(app(t, tree, "--listing", "1", "--links", "1", "--dotfiles", "1", wrapper=wrapper)) as server, server.connect() as c:
            check("good-link" not in listed(c, "/"), "no link where none is followed", "one")
            equal(sorted(listed(c, "/list/")), [".hidden", "deep", "index.txt"])


@suite.case()
def a_list_follows_what_is_there(t):
    tree = Tree("list-changes")
    for options in ((), ("--no-cache", "1")):
        with t.serving(app(t, tree, "--listing", "1", "--check-ms", "1", *options)) as server, server.connect() as c:
            tree.write("one", b"1")
            until(lambda: listed(c, "/").get("one", {}).get("size") == 1, "a new file")
            tree.write("one", b"12345")
            until(lambda: listed(c, "/")["one"]["size"] == 5, "another size")
            os.unlink(tree.path("one"))
            until(lambda: "one" not in listed(c, "/"), "a file that is gone")
            tree.write("index.html", b"index\n")
            until(lambda: c.get("/").body == b"index\n", "an index file")
            os.unlink(tree.path("index.html"))
            until(lambda: c.get("/").body != b"index\n", "a list again")


@suite.case()
def what_many_wait_for_is_read_once(t):
    tree = Tree("list-many")
    for i in range(400):
        tree.write(f"many/file-{i}", b"")
    with t.serving(app(t, tree, "--listing", "1", "--check-ms", "60000")) as server:
        clients = [server.connect() for _ in range(30)]
        for c in clients:
            c.send(b"GET /many/ HTTP/1.1\r\nHost: test\r\n\r\n")
        bodies = {c.response().body for c in clients}
        equal((len(bodies), bodies.pop().count(b'href="file-')), (1, 400))
        got = stats(clients[0])
        equal(got["disk_reads"], 1, "one reading")
        for c in clients:
            c.close()


# --- changes between answers ------------------------------------------------------------------------------------


@suite.case()
def changes_are_seen(t):
    for options in ((), ("--cache-file-bytes", "1"), ("--no-cache", "1")):
        tree = Tree("changes" + "-".join(options))
        tree.write("docs/page.html", b"page\n")
        with t.serving(app(t, tree, "--check-ms", "1", "--index", "first.html", "--index", "index.html", *options)) as server, \
                server.connect() as c:
            def becomes(path, wanted, *fields):
                until(lambda: (lambda got: wanted in (got.status, got.body))(c.get(path, *fields)), f"{path} to become {wanted!r} {options}")

            becomes("/inside.txt", b"inside\n")
            tree.write("inside.txt", b"written over\n")
            becomes("/inside.txt", b"written over\n")
            tree.replace("inside.txt", b"replaced 1 \n")
            becomes("/inside.txt", b"replaced 1 \n")
            before = os.stat(tree.path("inside.txt"))
            tree.replace("inside.txt", b"replaced 2 \n")  # the same size and time: another file all the same
            os.utime(tree.path("inside.txt"), ns=(before.st_atime_ns, before.st_mtime_ns))
            becomes("/inside.txt", b"replaced 2 \n")
            tree.write("inside.txt.gz", b"packed")
            becomes("/inside.txt", b"packed", "Accept-Encoding: gzip")
            os.unlink(tree.path("inside.txt.gz"))
            becomes("/inside.txt", b"replaced 2 \n", "Accept-Encoding: gzip")
            os.unlink(tree.path("inside.txt"))
            becomes("/inside.txt", 404)
            tree.write("inside.txt", b"again\n")
            becomes("/inside.txt", b"again\n")
            os.unlink(tree.path("inside.txt"))
            os.mkdir(tree.path("inside.txt"))
            becomes("/inside.txt", 301)
            becomes("/docs/", 403)
            tree.write("docs/index.html", b"index\n")
            becomes("/docs/", b"index\n")
            tree.write("docs/first.html", b"first\n")
            becomes("/docs/", b"first\n")
            os.unlink(tree.path("docs/first.html"))
            becomes("/docs/", b"index\n")
            os.symlink("../../canary.txt", tree.path("docs/link"))
            os.rename(tree.path("docs/link"), tree.path("docs/index.html"))
            becomes("/docs/", 403)


@suite.case()
def an_unchanged_file_is_not_read_again(t):
    tree = Tree("unchanged")
    with t.serving(app(t, tree, "--check-ms", "1")) as server, server.connect() as c:
        c.get("/inside.txt")
        for _ in range(200):
            equal(c.get("/inside.txt").status, 200)
        got = stats(c)
        equal((got["misses"], got["changes"], got["hits"]), (1, 0, 200))


@suite.case()
def the_root_is_replaced(t):
    for options in ((), ("--no-cache", "1")):
        tree = Tree("root" + "-".join(options))
        for number in (1, 2, 3):
            os.makedirs(os.path.join(tree.base, f"release-{number}"))
            with open(os.path.join(tree.base, f"release-{number}", "page.html"), "w", encoding="ascii") as file:
                file.write(f"release {number}\n")
        shutil.rmtree(tree.root)
        os.symlink("release-1", tree.root)
        with t.serving(app(t, tree, "--check-ms", "1", *options)) as server, server.connect() as c:
            def shows(body):
                until(lambda: c.get("/page.html").body == body, f"the root to be {body!r}")

            shows(b"release 1\n")
            os.symlink("release-2", tree.root + ".new")
            os.rename(tree.root + ".new", tree.root)
            shows(b"release 2\n")
            os.unlink(tree.root)  # for a moment there is none: what was there goes on
            equal(c.get("/page.html").body, b"release 2\n")
            os.rename(os.path.join(tree.base, "release-3"), tree.root)
            shows(b"release 3\n")
            shutil.rmtree(tree.root)
            until(lambda: c.get("/page.html").status == 404, "nothing left")
            os.mkdir(tree.root)
            tree.write("page.html", b"anew\n")
            shows(b"anew\n")


# --- changes during answers -------------------------------------------------------------------------------------


@suite.case()
def links_that_are_swapped_leak_nothing(t):
    """A name is a file, a link out, a directory, a link to one, all in turn, while it is asked for."""
    tree = Tree("swap")
    tree.write("../outside/page.html", CANARY)
    tree.write("a/page.html", b"page\n")
    tree.write("good/page.html", b"page\n")
    ended = threading.Event()

    def swap():
        os.symlink("../outside", tree.path("link-out"))
        os.symlink("good", tree.path("link-in"))
        while not ended.is_set():
            for name in ("link-out", "link-in"):
                os.rename(tree.path("a"), tree.path("kept"))
                os.rename(tree.path(name), tree.path("a"))
                os.rename(tree.path("a"), tree.path(name))
                os.rename(tree.path("kept"), tree.path("a"))

    for wrapper in ways(t):
        for options in ((), ("--no-cache", "1")):
            ended.clear()
            for name in ("link-out", "link-in"):
                if os.path.lexists(tree.path(name)):
                    os.unlink(tree.path(name))
            swapper = threading.Thread(target=swap)
            with t.serving(app(t, tree, "--check-ms", "1", *options, workers="2", wrapper=wrapper)) as server, server.connect() as c:
                swapper.start()
                try:
                    for _ in range(1500):
                        got = c.get("/a/page.html")
                        check(got.status in (200, 403, 404) and CANARY not in got.body, "no leak", got)
                finally:
                    ended.set()
                    swapper.join()


def slow_get(server, path):
    """A connection on which an answer has begun and waits for its reader."""
    c = server.connect(recv_buf=4096)
    c.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    head = c.head()
    equal(head.status, 200)
    return c, int(head.get("content-length"))


@suite.case()
def a_file_that_shrinks_while_it_is_sent_ends_that_connection_only(t):
    for options in ((), ("--polled", "1")):
        shrink_run(t, Tree("shrink" + "-".join(options)), options)


def shrink_run(t, tree, options):
    size = 30_000_000
    tree.write("large.bin", content(size))
    with t.serving(app(t, tree, *options)) as server, server.connect() as other:
        equal(other.get("/inside.txt").status, 200)
        c, length = slow_get(server, "/large.bin")
        equal(length, size)
        os.truncate(tree.path("large.bin"), 1000)
        try:
            got = c.take(size)
            raise Failure("an end before the promised length", f"{len(got)} bytes")
        except (Closed, Reset):
            pass
        equal(other.get("/inside.txt").body, b"inside\n", "the others go on")

        def new_size():
            with server.connect() as fresh:
                try:
                    return fresh.get("/large.bin").body == content(1000)
                except (Closed, Reset):
                    return False  # the change was not seen yet: the old size was promised
        until(new_size, "the new size")


@suite.case()
def a_file_that_vanishes_while_it_is_sent_is_sent_whole(t):
    for options in ((), ("--polled", "1")):
        tree = Tree("vanish" + "-".join(options))
        data = content(8_000_000)
        tree.write("large.bin", data)
        with t.serving(app(t, tree, "--check-ms", "1", *options)) as server, server.connect() as other:
            c, size = slow_get(server, "/large.bin")
            os.unlink(tree.path("large.bin"))
            until(lambda: other.get("/large.bin").status == 404, "404 for the others")
            check(c.take(size) == data, "all of it", "something else")


@suite.case()
def clients_that_leave_give_everything_back(t):
    tree = Tree("leave")
    tree.write("large.bin", content(20_000_000))
    for options in ((), ("--polled", "1")):
        with t.serving(app(t, tree, "--cache-descriptors", "4", *options)) as server, server.connect() as c:
            c.get("/inside.txt")
            before = server.fd_count()
            for way in ("close", "reset") * 10:
                gone, _ = slow_get(server, "/large.bin")
                getattr(gone, way)()
            until(lambda: server.fd_count() <= before + 1, "descriptors to be closed")
            equal(c.get("/large.bin", "Range: bytes=0-0").status, 206)


@suite.case()
def a_directory_is_replaced_under_load(t):
    """per_static_free() while answers of the old one are in flight: not one of them fails."""
    tree = Tree("reload")
    data = content(2_000_000)
    tree.write("large.bin", data)
    with t.serving(app(t, tree, workers="2")) as server:
        ended = threading.Event()
        wrong = []

        def ask():
            try:
                with server.connect() as c:
                    while not ended.is_set():
                        got = [c.get("/large.bin").body == data, c.get("/inside.txt").body == b"inside\n", c.get("/missing").status == 404]
                        if not all(got):
                            wrong.append(got)
            except Exception as error:  # said below
                wrong.append(error)

        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        slow, size = slow_get(server, "/large.bin")
        for number in range(20):
            os.kill(server.pid, signal.SIGUSR1)
            until(lambda number=number: sum(line == "swapped" for line in server.lines) > number, "the new one to be in place")
        ended.set()
        for client in clients:
            client.join()
        equal(wrong, [], "no failed request")
        check(slow.take(size) == data, "an answer of the first one, whole", "something else")
        slow.close()


# --- limits -----------------------------------------------------------------------------------------------------


@suite.case()
def the_cache_keeps_to_its_budget(t):
    tree = Tree("budget")
    names = [f"file-{i}.bin" for i in range(300)]
    for i, name in enumerate(names):
        tree.write(name, content(1000 + i * 10, i))
    rng = random.Random(SEED)
    with t.serving(app(t, tree, "--cache-bytes", "100000", "--cache-entries", "40")) as server, server.connect() as c:
        for _ in range(3000):
            i = min(int(rng.expovariate(0.02)), 299)  # some are asked for more often
            check(c.get("/" + names[i]).body == content(1000 + i * 10, i), names[i], "other bytes (PER_SEED=%#x)" % SEED)
        got = stats(c)
        check(got["bytes"] <= 100000 and got["entries"] <= 40, "within the budget", got)
        check(got["evictions"] > 300 and got["hits"] > 500, "a cache that is used", got)


@suite.case()
def descriptors_are_few(t):
    tree = Tree("few")
    for i in range(80):
        tree.write(f"large-{i}.bin", content(200_000, i))
    limit = 40
    with t.serving(app(t, tree, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))) as server:
        with server.connect() as c:
            for _ in range(2):
                for i in range(80):  # far more than there may be: those in the cache make room
                    check(c.get(f"/large-{i}.bin").body == content(200_000, i), f"file {i}", "other bytes")
            equal(c.get("/inside.txt").body, b"inside\n")


@suite.case()
def connections_go_before_files_that_are_only_kept(t):
    tree = Tree("full")
    for i in range(60):
        tree.write(f"large-{i}.bin", content(100_000, i))
    limit = 50
    for accept in ([], ["--accept-threads", "1"]):
        with t.serving(app(t, tree, *accept, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))) as server:
            with server.connect() as c:
                for i in range(60):
                    if server.fd_count() < limit - 2:
                        c.get(f"/large-{i}.bin")
                check(stats(c)["descriptors"] > 10, "many files that are kept open", stats(c))
                late = [server.connect() for _ in range(10)]
                for other in late:  # most of them wait for a descriptor; none asks for a file, which would close others
                    check(stats(other)["descriptors"] < 60, "an answer", "none")
                for other in late:
                    other.close()


@suite.case(alone=True)
def what_nobody_asks_for_is_closed(t):
    tree = Tree("idle")
    data = content(8_000_000)
    tree.write("large.bin", data)
    with t.serving(app(t, tree)) as server, server.connect() as c:
        equal(c.get("/large.bin", "Range: bytes=0-0").status, 206)
        equal(stats(c)["descriptors"], 1, "it stays open at first")
    with t.serving(app(t, tree, "--cache-idle-ms", "1", "--check-ms", "1")) as server, server.connect() as c:
        c.get("/inside.txt")
        before = server.fd_count()
        for _ in range(3):
            equal(c.get("/large.bin", "Range: bytes=0-0").status, 206)
            until(lambda: server.fd_count() == before, "the file to be closed without another request")
        slow, size = slow_get(server, "/large.bin")
        begin = slow.take(1000)
        os.unlink(tree.path("large.bin"))
        check(begin + slow.take(size - 1000) == data, "all of what is being sent", "something else")
        slow.close()
        until(lambda: server.fd_count() == before, "the deleted file to be closed")
        if is_instrumented(t.program("static_app")):
            return

        def is_quiet():
            switches = server.switches()
            threading.Event().wait(0.3)  # what is looked for is that nothing happens in it
            return server.switches() == switches
        until(is_quiet, "no wake-up when nothing is open", tries=100)


@suite.case()
def no_descriptor_is_left(t):
    tree = Tree("none-left")
    for i in range(40):
        tree.write(f"huge-{i}.bin", b"")
        os.truncate(tree.path(f"huge-{i}.bin"), 50_000_000)
    limit = 40
    with t.serving(app(t, tree, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))) as server:
        with server.connect() as c:
            equal(c.get("/inside.txt").body, b"inside\n")
            readers = []
            status = 200
            for i in range(40):
                reader = server.connect(recv_buf=4096)
                reader.sock.settimeout(0.5)  # one that cannot even be accepted gets nothing
                readers.append(reader)
                reader.send(f"GET /huge-{i}.bin HTTP/1.1\r\nHost: test\r\n\r\n".encode())
                try:
                    status = reader.head().status
                except (socket.timeout, Closed):
                    break
                if status != 200:
                    break
            check(status in (200, 503), "503 when nothing is left, or no accept", status)
            got = c.get("/huge-39.bin", "Range: bytes=0-0")
            equal(got.status, 503, "a file that cannot be opened")
            equal(c.get("/inside.txt").body, b"inside\n", "what is in memory")
            for reader in readers:
                reader.close()
            until(lambda: c.get("/huge-39.bin", "Range: bytes=0-0").status == 206, "it can be opened again")


@suite.case("SPEC: nothing on the heap per request in steady state", alone=True)
def what_is_in_the_cache_costs_no_allocation(t):
    if is_instrumented(t.program("static_app")):
        raise Skip("a sanitizer has its own malloc")
    tree = Tree("allocations")
    tree.write("inside.txt.gz", b"packed")
    tree.write("large.bin", content(2_000_000))
    os.mkdir(tree.path("dir"))
    library = build_support("malloc_count.c", os.path.join(tree.base, "malloc_count.so"), "-shared", "-fPIC")
    env = {"LD_PRELOAD": library, "MALLOC_COUNT_FILE": os.path.join(tree.base, "count")}
    asked = [("/inside.txt", "X: y"), ("/inside.txt", "Accept-Encoding: gzip"), ("/inside.txt", "If-None-Match: *"),
             ("/inside.txt", "Range: bytes=1-2"), ("/large.bin", "X: y"), ("/large.bin", "Range: bytes=0-9,20-29"), ("/dir", "X: y"),
             ("/missing", "X: y"), ("/%00", "X: y")]
    with t.serving(app(t, tree, "--check-ms", "60000", env=env)) as server, server.connect() as c:
        with open(env["MALLOC_COUNT_FILE"], "r+b") as file:
            counter = mmap.mmap(file.fileno(), 8)
        for target, field in asked:
            c.get(target, field)
        before = int.from_bytes(counter[:8], sys.byteorder)
        check(before > 0, "the counter to work", before)
        for _ in range(50):
            for target, field in asked:
                c.get(target, field)
        equal(int.from_bytes(counter[:8], sys.byteorder) - before, 0, "allocations in 450 requests")


@suite.case(alone=True)
def a_gigabyte_for_a_slow_reader_takes_little_memory(t):
    if is_instrumented(t.program("static_app")):
        raise Skip("memory is not measured under a sanitizer")
    tree = Tree("gigabyte")
    tree.write("sparse.bin", b"begin")
    os.truncate(tree.path("sparse.bin"), 1 << 30)
    with open(tree.path("sparse.bin"), "r+b") as file:
        file.seek((1 << 30) - 3)
        file.write(b"end")
    for options in ((), ("--polled", "1")):
        gigabyte_run(t, tree, options)


def gigabyte_run(t, tree, options):
    with t.serving(app(t, tree, *options)) as server, server.connect() as c:
        def resident():
            with open(f"/proc/{server.pid}/status", encoding="ascii") as status:
                return int(re.search(r"^RssAnon:\s+(\d+) kB", status.read(), re.MULTILINE).group(1)) << 10

        c.get("/inside.txt")
        before = resident()
        readers = [slow_get(server, "/sparse.bin")[0] for _ in range(8)]
        for reader in readers:
            for _ in range(30):
                reader.take(100_000)
        grown = resident() - before
        check(grown < 8 << 20, "less than 1 MiB for each reader", f"{grown >> 10} KiB more")
        for reader in readers:
            reader.reset()
        got = c.get("/sparse.bin", f"Range: bytes={(1 << 30) - 10}-")
        equal((got.status, got.body), (206, b"\0" * 7 + b"end"))


if __name__ == "__main__":
    sys.exit(suite.run())
