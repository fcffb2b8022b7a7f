#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test_program_tls.py - peregrine as the end of TLS: certificates by name, HSTS, the way from http to https, client certificates,
# reloads of certificates under load, and what --check says of bad ones.
# ctest: backends=io_uring,epoll
import os
import re
import socket
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from harness import Conn, Reset, Suite, check, equal, is_instrumented  # noqa: E402
from program import Folder, Load, Program, path_of, run  # noqa: E402

suite = Suite("peregrine: TLS")
METRICS = "metrics: {address: '127.0.0.1:0'}\nengine: {workers: 2}\n"
LISTEN = METRICS + "listen: [{address: '127.0.0.1:0'}, {address: '127.0.0.1:0', tls: true}]\n"


def openssl(*words):
    return subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


def certificate(folder, name, *names, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), days=9, ca=None):
    """NAME.pem and NAME.key, for those names, signed by itself or by ca."""
    path = os.path.join(folder.path, name)
    openssl("req", "-x509", "-newkey", *kind, "-nodes", "-days", "9", "-subj", f"/CN={name}", "-keyout", path + ".key",
            "-addext", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names or (name,)), "-out", path + ".pem")
    if ca or days != 9:
        signer = os.path.join(folder.path, ca or name)
        openssl("req", "-new", "-key", path + ".key", "-subj", f"/CN={name}", "-out", path + ".csr")
        openssl("x509", "-req", "-in", path + ".csr", "-CA", signer + ".pem", "-CAkey", signer + ".key", "-set_serial", "7",
                "-days", str(days), "-out", path + ".pem")


def start(t, folder, text):
    return Program(path_of(t), "--backend", t.args.backend, "--config", folder.write("site.yaml", text))


class TlsConn(Conn):
    """A connection to a TLS listener; cert is what the server has shown."""

    def __init__(self, server, name, index=1, client=None, **kw):
        super().__init__(("127.0.0.1", server.port_of(index)), **kw)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if client:
            context.load_cert_chain(client + ".pem", client + ".key")
        self.sock = context.wrap_socket(self.sock, server_hostname=name)
        self.cert = self.sock.getpeercert(binary_form=True)


def shown_name(conn):
    pem = ssl.DER_cert_to_PEM_cert(conn.cert)
    done = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True)
    return re.search(r"CN = (\S+)", done.stdout).group(1)


@suite.case()
def a_directory_is_served_with_one_option(t):
    with Folder() as folder:
        certificate(folder, "localhost")
        folder.write("www/a", "x")
        path = os.path.join(folder.path, "localhost")
        folder.write("both.pem", open(path + ".pem", "rb").read() + open(path + ".key", "rb").read())
        for options in (["--tls-cert", "localhost.pem", "--tls-key", "localhost.key"], ["--tls-cert", "both.pem"]):
            server = Program(path_of(t), "--backend", t.args.backend, "--port", "0", *options, "www",
                             cwd=folder.path)
            with t.serving(server):
                check(server.addresses[0].startswith("https://"), "an https address", server.addresses)
                with TlsConn(server, "localhost", 0) as c:
                    equal((c.get("/a").body, c.sock.version()), (b"x", "TLSv1.3"))


HOSTS = LISTEN + """
hosts:
  - names: [one.org, "*.one.org"]
    root: one
    certificates: [{cert: one.pem, key: one.key}, {cert: rsa.pem, key: rsa.key}]
    hsts: {max_age: 1h, subdomains: true, preload: true}
    https_redirect: true
    https_port: 8443
  - names: [two.org]
    root: two
    certificates: [{cert: two.pem, key: two.key}]
    client_auth: required
    client_ca: ca.pem
    hsts: {}
  - names: ["*.wild.org"]
    https_redirect: true
"""


def prepare(folder):
    certificate(folder, "one", "one.org", "*.one.org")
    certificate(folder, "rsa", "one.org", "*.one.org", kind=("rsa:2048",))
    certificate(folder, "two", "two.org")
    certificate(folder, "ca")
    certificate(folder, "client", ca="ca")
    certificate(folder, "stranger")
    for name in ("one", "two"):
        folder.write(f"{name}/index.html", name)


@suite.case()
def hosts_have_their_own_certificates(t):
    with Folder() as folder:
        prepare(folder)
        with t.serving(start(t, folder, HOSTS)) as server:
            for name, shown in (("one.org", "one"), ("a.one.org", "one"), ("other.org", "one")):
                with TlsConn(server, name) as c:
                    equal(shown_name(c), shown, f"certificate for {name}")
                    equal(c.ask(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()).body, b"one")
            # RSA for those who can do nothing else
            done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port_of(1)}", "-servername", "one.org",
                                   "-sigalgs", "rsa_pss_rsae_sha256"], input=b"", capture_output=True, timeout=30, check=False)
            check(b"CN = rsa" in done.stdout, "the RSA certificate", done.stdout[:400])
            with TlsConn(server, "two.org", client=os.path.join(folder.path, "client")) as c:
                equal(shown_name(c), "two")
                answer = c.ask(b"GET / HTTP/1.1\r\nHost: two.org\r\n\r\n")
                equal((answer.body, answer.get("strict-transport-security")), (b"two", "max-age=31536000"))
            for client in (None, os.path.join(folder.path, "stranger")):
                try:
                    with TlsConn(server, "two.org", client=client) as c:
                        got = c.ask(b"GET / HTTP/1.1\r\nHost: two.org\r\n\r\n")
                except (OSError, ValueError) as error:
                    got = error
                check(isinstance(got, ssl.SSLError), "a TLS alert without a certificate that ca.pem has signed", got)


@suite.case("RFC 9110 15.5.20")
def hosts_that_ask_for_certificates_cannot_be_reached_around(t):
    """The name in the handshake decides who is asked for a certificate, the Host field what is served: both have to agree."""
    hosts = LISTEN + """hosts:
  - {names: [open.org], root: one, certificates: [{cert: one.pem, key: one.key}]}
  - {names: [closed.org, "*.closed.org"], root: two, certificates: [{cert: two.pem, key: two.key}], client_auth: required, client_ca: ca.pem}
  - {names: [asked.org], root: two, certificates: [{cert: two.pem, key: two.key}], client_auth: optional, client_ca: ca.pem}
"""
    with Folder() as folder:
        prepare(folder)
        client = os.path.join(folder.path, "client")
        with t.serving(start(t, folder, hosts)) as server:
            def status(sni, host, client=None):
                with TlsConn(server, sni, client=client) as c:
                    return c.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status
            for sni, host, who, wanted in (
                    ("open.org", "open.org", None, 200), ("closed.org", "closed.org", client, 200),
                    ("closed.org", "a.closed.org:8443", client, 200), ("asked.org", "asked.org", None, 200),
                    ("open.org", "closed.org", None, 421), ("open.org", "CLOSED.org.", None, 421), (None, "closed.org", None, 421),
                    ("other.org", "closed.org", None, 421), ("asked.org", "closed.org", None, 421),
                    ("asked.org", "closed.org", client, 421), ("open.org", "asked.org", None, 421),
                    ("closed.org", "open.org", client, 421),
                    # TLS's wildcards are for one label, ours for any number
                    ("a.b.closed.org", "a.b.closed.org", None, 421), ("a.closed.org", "a.b.closed.org", client, 200)):
                equal(status(sni, host, who), wanted, f"status for {host} after a handshake with {sni}")
            with server.connect() as c:  # and without TLS nobody is asked
                equal(c.ask(b"GET / HTTP/1.1\r\nHost: closed.org\r\n\r\n").status, 421, "status without TLS")
                equal(c.ask(b"GET / HTTP/1.1\r\nHost: open.org\r\n\r\n").status, 200, "status without TLS")


@suite.case("RFC 9110 15.5.20")
def hosts_that_ask_alike_are_one_to_a_connection(t):
    hosts = LISTEN + "tls: {client_auth: %s, client_ca: ca.pem}\nhosts:\n" + "".join(
        f"  - {{names: [{name}.org], root: {name}, certificates: [{{cert: {name}.pem, key: {name}.key}}]}}\n" for name in ("one", "two"))
    ask = b"GET / HTTP/1.1\r\nHost: %s.org\r\n\r\n"
    with Folder() as folder:
        prepare(folder)
        server = start(t, folder, hosts % "optional")
        with t.serving(server), TlsConn(server, "one.org") as nobody, \
                TlsConn(server, "one.org", client=os.path.join(folder.path, "client")) as client, server.connect() as plain:
            for conn in (nobody, client, plain):
                equal([conn.ask(ask % name).body for name in (b"one", b"two")], [b"one", b"two"], "bodies where clients may be asked")
            folder.write("site.yaml", hosts % "required")
            server.reload()
            for conn, status in ((nobody, 421), (client, 200), (plain, 421)):
                equal([conn.ask(ask % name).status for name in (b"one", b"two")], [status] * 2, "status where they must be")


@suite.case("RFC 9110 15.5.20")
def what_is_no_name_in_a_handshake_is_not_taken_for_one(t):
    """TLS has not found a host by it, so it was the first one whose authorities have vouched for the client."""
    hosts = LISTEN + """hosts:
  - {names: [friends.org], root: one, certificates: [{cert: one.pem, key: one.key}], client_auth: optional, client_ca: stranger.pem}
  - {names: [closed.org, "*.closed.org"], root: two, certificates: [{cert: two.pem, key: two.key}], client_auth: required, client_ca: ca.pem}
"""
    with Folder() as folder:
        prepare(folder)
        stranger = os.path.join(folder.path, "stranger")
        with t.serving(start(t, folder, hosts)) as server:
            for name in ("friends.org", "closed.org:443", "*.closed.org", ".closed.org", "..closed.org", "closed.org..",
                         "x" * 243 + ".closed.org"):
                done = subprocess.run(
                    ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{server.port_of(1)}", "-servername", name,
                     "-cert", stranger + ".pem", "-key", stranger + ".key"], capture_output=True, timeout=30, check=False,
                    input=b"GET / HTTP/1.1\r\nHost: closed.org\r\nConnection: close\r\n\r\n")
                check(done.stdout.startswith(b"HTTP/1.1 421 "), f"421 after a handshake with {name}", done.stdout + done.stderr)


@suite.case()
def who_names_nobody_gets_the_certificate_of_the_host_without_names(t):
    with Folder() as folder:
        for name in ("one", "rest"):
            certificate(folder, name, name + ".org")
        text = LISTEN + """
hosts:
  - {names: [one.org], welcome: true, certificates: [{cert: one.pem, key: one.key}]}
  - {welcome: true, certificates: [{cert: rest.pem, key: rest.key}]}
"""
        with t.serving(start(t, folder, text)) as server:
            for name, shown in (("one.org", "one"), ("other.org", "rest"), (None, "rest")):
                with TlsConn(server, name) as c:
                    equal(shown_name(c), shown, f"certificate for {name}")


@suite.case()
def plain_requests_are_sent_to_https(t):
    with Folder() as folder:
        prepare(folder)
        with t.serving(start(t, folder, HOSTS)) as server:
            for head, location in ((b"GET /a%20b?c=1&d HTTP/1.1\r\nHost: one.org\r\n", "https://one.org:8443/a%20b?c=1&d"),
                                   (b"GET / HTTP/1.1\r\nHost: B.one.org:8080\r\n", "https://B.one.org:8443/"),
                                   (b"GET / HTTP/1.0\r\n", "https://one.org:8443/"),
                                   (b"POST /x HTTP/1.1\r\nHost: a.wild.org\r\nContent-Length: 0\r\n", "https://a.wild.org/x"),
                                   (b"GET http://one.org HTTP/1.1\r\nHost: x\r\n", "https://one.org:8443/")):
                with server.connect() as c:
                    answer = c.ask(head + b"\r\n")
                    equal((answer.status, answer.get("location"), answer.get("strict-transport-security")), (308, location, None))
            with server.connect() as c:
                equal(c.get("/healthz").status, 200, "the health check stays: status")
            with TlsConn(server, "one.org") as c:
                equal(c.ask(b"GET / HTTP/1.1\r\nHost: one.org\r\n\r\n").get("strict-transport-security"),
                      "max-age=3600; includeSubDomains; preload")
                answer = c.ask(b"GET /healthz HTTP/1.1\r\nHost: one.org\r\n\r\n")
                equal(answer.status, 200)
                equal(c.ask(b"GET / HTTP/1.1\r\nHost: a.wild.org\r\n\r\n").status, 404, "no loop over TLS: status")
            with server.connect() as c:
                equal(c.ask(b"GET / HTTP/1.1\r\nHost: two.org\r\n\r\n").get("strict-transport-security"), None)


@suite.case()
def metrics_tell_when_certificates_end(t):
    with Folder() as folder:
        prepare(folder)
        with t.serving(start(t, folder, HOSTS)) as server:
            ends = dict(re.findall(r'^peregrine_tls_certificate_not_after_seconds\{index="\d",file="[^"]*/(\w+).pem"\} (\d+)$',
                                   server.metrics(), re.MULTILINE))
            equal(sorted(ends), ["one", "rsa", "two"])
            done = openssl("x509", "-noout", "-enddate", "-in", os.path.join(folder.path, "one.pem"))
            equal(int(ends["one"]), ssl.cert_time_to_seconds(done.stdout.decode().strip().split("=")[1]))


# --- reloads ----------------------------------------------------------------------------------------------------------


class TlsLoad(Load):
    def open(self):
        return TlsConn(self.server, "one.org", 0)


@suite.case(alone=True)
def certificates_change_under_load(t):
    """Each reload brings another certificate; no handshake and no request fails, and new connections see the new one."""
    reloads = 20 if is_instrumented(path_of(t)) else 100
    text = METRICS + "listen: [{address: '127.0.0.1:0', tls: true}]\nhosts: [{root: ., certificates: [{cert: %s.pem, key: %s.key}]}]\n"
    with Folder() as folder:
        for name in ("a", "b"):
            certificate(folder, name, "one.org")
        folder.write("index.html", "x" * 20000)
        server = start(t, folder, text % ("a", "a"))
        with t.serving(server):
            with TlsLoad(server, "/", lambda answer: answer.status == 200 and len(answer.body) == 20000, 2, 1) as load:
                for i in range(reloads):
                    name = "ba"[i % 2]
                    folder.write("site.yaml", text % (name, name))
                    server.reload()
                    if i % 10 == 0:
                        with TlsConn(server, "one.org", 0) as c:
                            equal(shown_name(c), name, "certificate after the reload")
            equal(load.bad, [], "failed requests")
            check(load.count > reloads, "a load worth the name", load.count)
            equal(server.metric("peregrine_tls_failed_total"), 0, "failed handshakes")


@suite.case()
def bad_certificates_change_nothing(t):
    text = METRICS + "listen: [{address: '127.0.0.1:0', tls: true}]\nhosts: [{root: ., headers: [{name: X, value: %s}], " \
        "certificates: [{cert: %s.pem, key: %s.key}]}]\n"
    with Folder() as folder:
        for name in ("a", "b", "old"):
            certificate(folder, name, "one.org", days=-1 if name == "old" else 9)
        folder.write("junk.pem", "junk")
        folder.write("junk.key", "junk")
        server = start(t, folder, text % (0, "a", "a"))
        with t.serving(server):
            for cert, key, reason in (("a", "b", "b.key"), ("junk", "a", "junk.pem"), ("a", "junk", "junk.key"),
                                      ("old", "old", "old.pem"), ("none", "a", "none.pem")):
                folder.write("site.yaml", text % (1, cert, key))
                server.reload(good=False)
                last = [line for line in server.log().split("\n") if "certificate" in line][-2 if "none" in reason else -1]
                check(reason in server.log(), f"a reason that names {reason}", last)
                with TlsConn(server, "one.org", 0) as c:
                    equal((shown_name(c), c.get("/").get("x")), ("a", "0"), "certificate and field")
            # the same files, other contents: what a renewal does
            for ending in ("pem", "key"):
                folder.write(f"a.{ending}", open(os.path.join(folder.path, f"b.{ending}"), "rb").read())
            folder.write("site.yaml", text % (2, "a", "a"))
            server.reload()
            with TlsConn(server, "one.org", 0) as c:
                equal((shown_name(c), c.get("/").get("x")), ("b", "2"), "certificate and field")


@suite.case()
def what_a_reload_cannot_change_is_said(t):
    tls = METRICS + "listen: [{address: '127.0.0.1:0', tls: true}]\nhosts: [{root: ., certificates: [{cert: a.pem, key: a.key}]}]\n"
    with Folder() as folder:
        certificate(folder, "a")
        server = start(t, folder, tls)
        with t.serving(server):
            folder.write("site.yaml", tls + "tls: {handshakes: 7, handshake_timeout: 3s, early_data: 1KiB, tls12: true, "
                                            "ticket_lifetime: 1h}\n")
            server.reload()
            check("needs a restart: tls.ticket_lifetime, tls.early_data\n" in server.log(), "both", server.log())
            # what can change has changed
            done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2"], input=b"",
                                  capture_output=True, timeout=30, check=False)
            check(b"TLSv1.2" in done.stdout and b"Cipher is ECDHE" in done.stdout, "TLS 1.2 now", done.stdout[-600:])
            with server.connect(timeout_s=8) as c:  # it had ten seconds before
                try:
                    equal(c.rest(), b"", "an end of a handshake that does not begin")
                except Reset:
                    pass
            folder.write("site.yaml", METRICS + "listen: [{address: '127.0.0.1:0'}]\nhosts: [{root: .}]\n")
            server.reload()
            check("needs a restart: listen, no certificate any more\n" in server.log(), "both", server.log())
            with TlsConn(server, "a", 0) as c:
                equal(shown_name(c), "a")


# --- --check ----------------------------------------------------------------------------------------------------------


@suite.case()
def check_reads_certificates(t):
    head = "listen: [{address: ':0', tls: true}]\nhosts:\n  - root: .\n    certificates:\n"
    with Folder() as folder:
        certificate(folder, "a")
        certificate(folder, "b")
        certificate(folder, "old", days=-1)
        good = "      - {cert: a.pem, key: a.key}\n"

        def checked(text):
            path = folder.write("site.yaml", text)
            done = run(path_of(t), "--check", "--config", path)
            return done.returncode, (done.stdout + done.stderr).replace(folder.path + "/", "")
        equal(checked(head + good), (0, "ok\n"))
        for entry, words in (("{cert: a.pem, key: b.key}", "b.key"), ("{cert: old.pem, key: old.key}", "old.pem"),
                             ("{cert: a.key, key: a.key}", "a.key"), ("{cert: a.pem, key: a.pem}", "a.pem")):
            status, said = checked(head + good + f"      - {entry}\n")
            check(status == 1 and said.startswith("site.yaml:6: hosts[0].certificates[1]: ") and words in said, "its line", said)
        status, said = checked(head + good + "tls: {ciphersuites: NOTHING}\n")
        check(status == 1 and said.startswith("site.yaml:6: tls.ciphersuites: ") and "NOTHING" in said, "the line of tls", said)


@suite.case()
def a_server_with_a_bad_key_does_not_start(t):
    with Folder() as folder:
        certificate(folder, "a")
        certificate(folder, "b")
        done = run(path_of(t), "--port", "0", "--tls-cert", "a.pem", "--tls-key", "b.key",
                   cwd=folder.path)
        check(done.returncode == 1 and "b.key" in done.stderr and "cannot start" in done.stderr, "1 and the reason", done)


@suite.case()
def a_throw_away_certificate_is_made_once(t):
    """What 'make serve TLS=1' calls."""
    del t
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "dev_cert.sh")
    with Folder() as folder:
        path = os.path.join(folder.path, "new", "dev")
        for _ in range(2):
            subprocess.run([script, path], check=True, capture_output=True, timeout=60)
            with open(path + ".pem", encoding="ascii") as file:
                text = file.read()
        subprocess.run([script, path], check=True, capture_output=True, timeout=60)
        with open(path + ".pem", encoding="ascii") as file:
            equal(file.read(), text, "the same certificate")
        names = openssl("x509", "-in", path + ".pem", "-noout", "-ext", "subjectAltName").stdout.decode()
        check("DNS:localhost" in names and socket.gethostname() in names and "127.0.0.1" in names, "names of this machine", names)
        equal(os.stat(path + ".key").st_mode & 0o77, 0, "rights of others on the key")


if __name__ == "__main__":
    sys.exit(suite.run())
