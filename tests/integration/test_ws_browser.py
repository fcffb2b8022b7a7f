# SPDX-License-Identifier: MIT
# test_ws_browser.py - a real browser: headless Chromium with several tabs in ws_chat, and its WebSockets against arena and test_app.
# Chromium is driven through its own debugging WebSocket (ws_client.py). Without Chromium all of it is skipped, and says so:
# PER_BROWSER=1 make test installs it (Debian: chromium). The last case is about TLS.
# ctest: once serial timeout=300
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import tls_certs  # noqa: E402
from harness import Closed, Conn, Failure, Reset, Server, Skip, Suite, check, equal, which  # noqa: E402
from ws_client import TEXT, Ws, handshake  # noqa: E402

suite = Suite("a browser")
WAIT_S = 60  # for anything a browser has to do
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
         "--disable-background-timer-throttling", "--hide-scrollbars", "--window-size=1100,800", "--remote-debugging-port=0",
         "--ignore-certificate-errors"]


class Tab:
    """One page, and the debugging connection to it."""

    def __init__(self, browser, target):
        self.browser, self.target, self.last = browser, target, 0
        self.ws = Ws(("127.0.0.1", browser.port), f"/devtools/page/{target}", host="127.0.0.1", timeout_s=WAIT_S)

    def call(self, method, **params):
        self.last += 1
        self.ws.text(json.dumps({"id": self.last, "method": method, "params": params}))
        while True:  # events come in between
            opcode, payload = self.ws.next()
            got = json.loads(payload) if opcode == TEXT else {}
            if got.get("id") == self.last:
                if "error" in got:
                    raise Failure(f"{method} to work", got["error"])
                return got["result"]

    def run(self, script):
        """The value of an expression in the page; a promise is awaited."""
        got = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            raise Failure(f"no exception in {script!r}", got["exceptionDetails"].get("exception", {}).get("description"))
        return got["result"].get("value")

    def until(self, script, what):
        for _ in range(WAIT_S * 50):
            got = self.run(script)
            if got:
                return got
            threading.Event().wait(0.02)
        raise Failure(what, f"never; {script} is {got!r}, the page says {self.run('document.body.innerText')!r}")

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        self.ws.conn.close()
        self.browser.main.call("Target.closeTarget", targetId=self.target)


class Browser:
    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="per-browser-")
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen([program, *FLAGS, f"--user-data-dir={self.folder}/profile", "about:blank"],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.main = None
        try:
            self.port, path = self._wait_port()
            self.main = Tab.__new__(Tab)
            self.main.last = 0
            self.main.ws = Ws(("127.0.0.1", self.port), path, host="127.0.0.1", timeout_s=WAIT_S)
        except BaseException:
            self.end()
            raise

    def _wait_port(self):
        path = os.path.join(self.folder, "profile", "DevToolsActivePort")
        for _ in range(WAIT_S * 50):
            if self.process.poll() is not None:
                break
            if os.path.exists(path):
                with open(path, encoding="ascii") as file:
                    lines = file.read().split("\n")
                if len(lines) >= 2 and lines[1]:
                    return int(lines[0]), lines[1]
            threading.Event().wait(0.02)
        with open(os.path.join(self.folder, "log"), "rb") as file:
            raise Skip(f"chromium does not start here: {file.read()[-600:].decode('utf-8', 'replace')}")

    def open(self, url):
        target = self.main.call("Target.createTarget", url=url)["targetId"]
        tab = Tab(self, target)
        tab.until("document.readyState === 'complete' && location.href !== 'about:blank'", f"{url} to load")
        return tab

    def end(self):
        try:
            self.main.call("Browser.close")  # it ends its own processes
            self.process.wait(20)
        except (AttributeError, OSError, Failure, Closed, Reset, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


BROWSER = []


def browser():
    if not BROWSER:
        program = which("chromium") or which("chromium-browser")
        if program is None:
            raise Skip("chromium is not installed (PER_BROWSER=1 make test installs it)")
        BROWSER.append(Browser(program))
    return BROWSER[0]


def chat(t, address="127.0.0.1:0"):
    return Server([t.program("ws_chat"), address])


def join(server, name, room="lobby"):
    tab = browser().open(f"http://127.0.0.1:{server.port}/#{room}")
    tab.until("document.getElementById('state').className === 'open'", "the page to connect")
    tab.run(f"document.getElementById('name').value = {json.dumps(name)}; document.getElementById('name').onchange()")
    tab.until("document.getElementById('state').className === 'open' && self !== undefined", "the page to connect by that name")
    return tab


def say(tab, text):
    tab.run(f"document.getElementById('text').value = {json.dumps(text)}; document.getElementById('say').requestSubmit()")


def heard(tab):
    return tab.run("[...document.querySelectorAll('#log .said')].map(s => [s.closest('li').classList.contains('mine'), "
                   "s.querySelector('.who').firstChild.data, s.querySelector('p').textContent])")


def wait_heard(tab, count):
    tab.until(f"document.querySelectorAll('#log .said').length >= {count}", f"{count} messages")
    return heard(tab)


@suite.case("issue 3: examples", alone=True)
def messages_are_seen_in_every_tab(t):
    with t.serving(chat(t)) as server:
        ann, bob, eve = join(server, "Ann"), join(server, "Bob B."), join(server, "Eve", "other-room")
        say(ann, "Hello, Bob!")
        equal(wait_heard(bob, 1), [[False, "Ann", "Hello, Bob!"]])
        say(bob, "Hello, Ann. <b>bold</b> & \u00fcml\u00e4ut \U0001f44b\ttab")
        said = "Hello, Ann. <b>bold</b> & \u00fcml\u00e4ut \U0001f44b\ttab"
        for tab, is_ann in ((ann, True), (bob, False)):
            equal(wait_heard(tab, 2), [[is_ann, "Ann", "Hello, Bob!"], [not is_ann, "Bob B.", said]])
        equal(heard(eve), [], "what is heard in another room")
        equal(ann.run("document.querySelectorAll('#log b').length"), 0, "elements out of a message")
        ann.until("document.getElementById('state').textContent === '2 people are here'", "two people")
        eve.until("document.getElementById('state').textContent === 'only you are here'", "one person")
        ann.run("for (let i = 0; i < 300; i++) socket.send('number ' + i)")
        want = [f"number {i}" for i in range(300)]
        equal([text for _, _, text in wait_heard(bob, 302)][2:], want, "messages in order")
        equal([text for _, _, text in wait_heard(ann, 302)][2:], want, "messages in order")
        check("permessage-deflate" in ann.run("socket.extensions"), "permessage-deflate", ann.run("socket.extensions"))
        bob.close()
        ann.until("[...document.querySelectorAll('.note')].pop().textContent === 'Bob B. has left'", "a note that Bob has left")
        ann.until("document.getElementById('state').textContent === 'only you are here'", "one person")
        eve.run("location.hash = 'lobby'")
        ann.until("[...document.querySelectorAll('.note')].pop().textContent === 'Eve has come in'", "a note that Eve has come in")
        eve.until("document.getElementById('state').textContent === '2 people are here'", "two people")
        say(eve, "I have moved")
        equal(wait_heard(ann, 303)[-1], [False, "Eve", "I have moved"])
        ann.close()
        eve.close()


@suite.case("issue 3: examples", alone=True)
def pages_come_back_after_a_restart(t):
    with t.serving(chat(t)) as server:
        port = server.port
        ann, bob = join(server, "Ann"), join(server, "Bob")
        ann.run("window.codes = []; socket.addEventListener('close', e => codes.push(e.code, e.wasClean))")
    equal(ann.run("codes"), [1001, True], "close code at a stop")
    with t.serving(chat(t, f"127.0.0.1:{port}")):
        for tab in (ann, bob):
            tab.until("document.getElementById('state').textContent === '2 people are here'", "both to come back")
        say(bob, "We are back")
        equal(wait_heard(ann, 1)[-1], [False, "Bob", "We are back"])
        ann.close()
        bob.close()


@suite.case("RFC 6455 10.2", alone=True)
def other_sites_are_kept_out(t):
    with t.serving(chat(t)) as server, t.serving(t.arena(backend="auto")) as other:
        tab = browser().open(f"http://127.0.0.1:{other.port}/")
        url = f"ws://127.0.0.1:{server.port}/ws?room=lobby"
        got = tab.run(f"new Promise(done => {{ const s = new WebSocket('{url}'); s.onopen = () => done('open'); "
                      "s.onclose = e => done(e.code) })")
        equal(got, 1006, "what a page of another site gets")
        tab.close()
        for target, fields, status in (("/ws?room=lobby", ("Origin: http://evil.example",), 403), ("/ws?room=No%20room", (), 400),
                                       ("/ws", (), 400), ("/ws?room=" + "r" * 33, (), 400), ("/nothing", (), 404)):
            with Conn(("127.0.0.1", server.port)) as c:
                c.send(handshake(target, *fields))
                equal(c.response().status, status, f"answer to {target} {fields}")


@suite.case("ws_chat", alone=True)
def what_the_chat_does_not_take(t):
    with t.serving(chat(t)) as server:
        def connect():
            return Ws(("127.0.0.1", server.port), "/ws?room=lobby", deflate=True)
        for sent, code in ((lambda c: c.binary(b"x"), 1003), (lambda c: c.text(""), 1008), (lambda c: c.text("n" * 97), 1008),
                           (lambda c: c.text("n" * 8193), 1009)):
            with connect() as c:
                sent(c)
                c.expect_close(code)
        with connect() as a, connect() as b:
            a.text("a\tb\nc")
            word, number = a.next()[1].split(b"\t")
            equal(word, b"w")
            a.expect(TEXT, b"j\t%s\ta b c\t1" % number)
            a.text("x" * 8192)
            a.expect(TEXT, b"m\t%s\ta b c\t" % number + b"x" * 8192)
            b.conn.send(b"")
            a.end()


ECHO = """new Promise((done, fail) => {
    const s = new WebSocket(URL), got = [];
    s.binaryType = 'arraybuffer';
    s.onopen = () => { for (const m of MESSAGES) s.send(m); };
    s.onmessage = e => { got.push(e.data); if (got.length === MESSAGES.length) s.close(4321, 'thank you'); };
    s.onclose = e => done([got.every((m, i) => typeof m === 'string' ? m === MESSAGES[i] :
        m.byteLength === MESSAGES[i].byteLength && new Uint8Array(m).every((x, k) => x === new Uint8Array(MESSAGES[i])[k])),
        got.length, e.code, e.reason, e.wasClean, s.extensions]);
})"""


@suite.case("issue 3: clients", alone=True)
def echo_in_a_browser(t):
    with t.serving(t.arena(backend="auto")) as server:
        tab = browser().open(f"http://127.0.0.1:{server.port}/")
        for messages in ("['', 'a', 'hello '.repeat(1000), '\\u{1f600}'.repeat(100000)]",
                         "[new ArrayBuffer(0), new Uint8Array(70000).fill(7).buffer, crypto.getRandomValues(new Uint8Array(65536)).buffer]",
                         "Array.from({length: 2000}, (_, i) => 'message ' + i)", "['0123456789abcdef'.repeat(1 << 20)]"):
            script = f"(() => {{ const MESSAGES = {messages}, URL = 'ws://127.0.0.1:{server.port}/ws'; return {ECHO} }})()"
            is_same, count, code, _, clean, extensions = tab.run(script)
            check(is_same and count > 0 and clean, "the same messages and a clean close", (is_same, count, clean))
            equal((code, extensions.split(";")[0]), (4321, "permessage-deflate"), "close code and extension")
        tab.close()


@suite.case("issue 3: clients", alone=True)
def protocols_and_closes_in_a_browser(t):
    with t.serving(t.app(backend="auto")) as server:
        tab = browser().open(f"http://127.0.0.1:{server.port}/hello")
        base = f"ws://127.0.0.1:{server.port}"
        for code, reason in ((1000, ""), (1001, "away"), (4000, "the end")):
            got = tab.run(f"new Promise(done => {{ const s = new WebSocket('{base}/ws/cmd'); s.onopen = () => "
                          f"s.send('close {code} {reason}'); s.onclose = e => done([e.code, e.reason, e.wasClean]) }})")
            equal(got, [code, reason, True], "close by the server")
        for offered, chosen in (("['alpha']", "alpha"), ("['gamma', 'beta']", "beta")):
            got = tab.run(f"new Promise(done => {{ const s = new WebSocket('{base}/ws/protocols', {offered}); "
                          "s.onopen = () => { done(s.protocol); s.close() }; s.onclose = e => done(e.code) })")
            equal(got, chosen, f"protocol out of {offered}")
        got = tab.run(f"new Promise(done => {{ const s = new WebSocket('{base}/ws/refuse/403'); s.onopen = () => done('open'); "
                      "s.onclose = e => done(e.code) })")
        equal(got, 1006, "a refusal")
        tab.close()


@suite.case("TLS", alone=True)
def pages_and_websockets_over_tls_in_a_browser(t):
    certs = tls_certs.Certs()
    localhost = certs.make("localhost", names=("DNS:localhost",))
    with t.serving(t.arena("--tls-cert", localhost.cert, "--tls-key", localhost.key, backend="auto")) as server:
        base = f"//127.0.0.1:{server.port}"
        tab = browser().open(f"https:{base}/pipeline")
        equal(tab.run("document.body.innerText"), "ok")
        equal(tab.run("Promise.all(Array.from({length: 50}, (_, i) => fetch(`/baseline11?a=${i}&b=1`).then(r => r.text())))"),
              [str(i + 1) for i in range(50)])
        equal(tab.run("fetch('/bytes/3000000').then(r => r.arrayBuffer()).then(b => b.byteLength)"), 3000000)
        script = f"(() => {{ const MESSAGES = ['a', 'hello '.repeat(20000)], URL = 'wss:{base}/ws'; return {ECHO} }})()"
        equal(tab.run(script)[:5], [True, 2, 4321, "", True])
        tab.close()


def take_screenshots(t, folder):
    """For people: what the chat looks like."""
    with t.serving(chat(t)) as server:
        ann, bob = join(server, "Ann"), join(server, "Quiet Kestrel", "falcons")
        bob.run("location.hash = 'lobby'")
        bob.until("document.getElementById('state').textContent === '2 people are here'", "two people")
        lines = [(bob, "Good morning! Has anybody seen the nest cam today?"), (ann, "Yes - two chicks, and both are hungry."),
                 (ann, "The old one brought a pigeon at seven."), (bob, "Fast food, then \U0001f985"),
                 (ann, "A longer message, to see how lines break: the peregrine falcon reaches more than 320 km/h in its stoop, "
                       "which makes it the fastest animal there is, and it nests on cathedrals, bridges and power stations.")]
        for i, (tab, text) in enumerate(lines, 1):
            say(tab, text)
            wait_heard(ann, i)
        wait_heard(bob, len(lines))
        for tab, name, scheme, width, height in ((ann, "light", "light", 1100, 800), (bob, "dark", "dark", 1100, 800),
                                                 (ann, "phone", "light", 390, 780)):
            tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
            threading.Event().wait(0.5)
            tab.screenshot(os.path.join(folder, f"chat-{name}.png"))


def main():
    suite.parse_args(lambda p: p.add_argument("--screenshots", help="only save pictures of the chat into this folder"))
    try:
        if suite.args.screenshots:
            take_screenshots(suite, suite.args.screenshots)
            return 0
        return suite.run()
    finally:
        for running in BROWSER:
            running.end()


if __name__ == "__main__":
    sys.exit(main())
