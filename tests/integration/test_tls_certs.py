#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# test_tls_certs.py - certificates of a running server: which one for which name and client, client certificates, coming back
# with a ticket, changing them under load. Clients are Python's ssl module and openssl s_client. The bytes of a connection are
# test_tls.py's. PER_RELOADS is how often the certificates change under load.
# ctest: timeout=300
import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import tls_certs  # noqa: E402
from harness import TIMEOUT_S, Conn, Failure, Server, Skip, Suite, check, equal, is_instrumented  # noqa: E402

suite = Suite("certificates")
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BOTH = (V12, V13)
RELOADS = int(os.environ.get("PER_RELOADS", "40"))


class World:
    """The certificates of all cases: one authority with an intermediate, another authority, hosts, clients."""

    def __init__(self):
        self.certs = certs = tls_certs.Certs()
        self.root = certs.make("root", is_ca=True)
        self.middle = certs.make("middle", is_ca=True, issuer=self.root)
        self.other_root = certs.make("other-root", is_ca=True)
        self.a = self.host("a", "DNS:a.example", "DNS:*.a.example")
        self.a_rsa = self.host("a-rsa", "DNS:a.example", kind=tls_certs.RSA)
        self.b = self.host("b", "DNS:b.example")
        self.clients = {
            "none": None,
            "valid": certs.make("valid", issuer=self.root, usage="clientAuth"),
            "expired": certs.make("expired", issuer=self.root, dates=tls_certs.EXPIRED),
            "other": certs.make("other", issuer=self.other_root),
            "self": certs.make("self"),
        }

    def host(self, name, *names, **more):
        return self.certs.make(name, names=names, issuer=self.middle, chain=(self.middle,), **more)


world = World()


def app(t, *options, workers="1"):
    return Server([t.program("tls_app"), "--backend", t.args.backend, "--workers", workers, *options],
                  ready=re.compile(r"^ready$"))


def context_make(version=None, client=None, alpn=None, ciphers=None):
    context = ssl.create_default_context(cafile=world.root.cert)
    context.check_hostname = False  # the cases look at the subject themselves
    if version:
        context.minimum_version = context.maximum_version = version
    if client:
        context.load_cert_chain(client.cert, client.key)
    if alpn:
        context.set_alpn_protocols(alpn)
    if ciphers:
        context.set_ciphers(ciphers)
    return context


class Talk:
    """A connection that has asked once. info is what the server says of it, subject the name in its certificate."""

    def __init__(self, server, name="a.example", context=None, session=None):
        raw = socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S)
        try:
            self.sock = (context or context_make()).wrap_socket(raw, server_hostname=name, session=session)
        except BaseException:
            raw.close()
            raise
        self.data = b""
        try:
            self.info = self.ask()
        except BaseException:
            self.close()
            raise
        self.subject = dict(pair[0] for pair in self.sock.getpeercert()["subject"])["commonName"]

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.sock.close()

    def until(self, done):
        while not done():
            more = self.sock.recv(65536)
            if not more:
                raise Failure("an answer", f"the end of the stream after {self.data!r}")
            self.data += more

    def ask(self):
        self.sock.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        self.until(lambda: b"\r\n\r\n" in self.data)
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise Failure("200", head.decode())
        length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
        self.until(lambda: len(self.data) >= length)
        body, self.data = self.data[:length], self.data[length:]
        return dict(line.split("=", 1) for line in body.decode().splitlines())


def talk(server, *arguments, **options):
    with Talk(server, *arguments, **options) as done:
        return done


def refusal(server, *arguments, **options):
    """The words of OpenSSL for a handshake that the server does not want."""
    try:
        done = talk(server, *arguments, **options)
    except (ssl.SSLError, ConnectionResetError) as error:
        return str(error)
    raise Failure("a refused handshake", f"an answer: {done.info}")


def s_client(server, *arguments, stdin="GET / HTTP/1.0\r\n\r\n"):
    run = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", world.root.cert, "-ign_eof",
                          *arguments], input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return run.returncode, run.stdout + run.stderr


def reload(server, which=""):
    """(error, reason) of a reload; which is "/1" for the second configuration."""
    with Conn(("127.0.0.1", server.port_of(1))) as conn:
        error, _, reason = conn.get("/reload" + which).body.decode().strip().partition(" ")
    return int(error), reason


def until_subject(server, subject, name="a.example"):
    """A worker takes new certificates at its next turn: asks until it has."""
    for _ in range(1000):
        done = talk(server, name)
        if done.subject == subject:
            return done
    raise Failure(f"the certificate of {subject}", done.subject)


def copied(name, identity):
    """A file of its own with a certificate, to be changed by the case."""
    path = world.certs.path(name)
    shutil.copy(identity.pem, path)
    return path


# --- names and kinds of keys ------------------------------------------------------------------------------------------


@suite.case("RFC 6066 3")
def name_chooses_the_certificate(t):
    server = t.shared_server("hosts", lambda: app(t, "--tls12", "--cert", world.b.pem, "--cert", world.a_rsa.pem, "--cert",
                                                  world.a.pem, "--cert", world.a.pem, "--names", "given.example"))
    for version in BOTH:
        context = context_make(version)
        for name, subject in (("a.example", "a"), ("A.Example", "a"), ("x.a.example", "a"), ("x.y.a.example", "b"),
                              ("b.example", "b"), ("x.b.example", "b"), ("unknown.example", "b"), (None, "b"),
                              ("given.example", "a")):
            done = talk(server, name, context=context)
            equal(done.subject, subject, f"certificate for {name}")
            equal(done.info["name"].lower(), (name or "").lower(), "server_name")
            equal(done.info["version"], {V12: "TLSv1.2", V13: "TLSv1.3"}[version], "version")


@suite.case("RFC 6066 3")
def name_strict_refuses_strangers(t):
    with t.serving(app(t, "--strict-sni", "--cert", world.a.pem, "--cert", world.b.pem)) as server:
        equal(talk(server, "b.example").subject, "b", "certificate")
        for name in ("unknown.example", None):
            check("UNRECOGNIZED_NAME" in refusal(server, name), "unrecognized_name", name)


@suite.case("RFC 8446 4.4.2.2")
def kind_of_key_suits_the_client(t):
    with t.serving(app(t, "--tls12", "--cert", world.a_rsa.pem, "--cert", world.a.pem)) as server:
        for version in BOTH:
            equal(talk(server, context=context_make(version)).subject, "a", "certificate")
        equal(talk(server, context=context_make(V12, ciphers="ECDHE-RSA-AES128-GCM-SHA256")).subject, "a-rsa", "certificate")
        for version in ("-tls1_2", "-tls1_3"):
            code, said = s_client(server, version, "-servername", "a.example", "-sigalgs", "rsa_pss_rsae_sha256",
                                  "-verify_return_error")
            check(code == 0 and "subject=CN = a-rsa" in said, "the RSA certificate, verified", said)


@suite.case()
def chain_is_verified_by_others(t):
    with t.serving(app(t, "--cert", world.a.pem)) as server:
        code, said = s_client(server, "-servername", "a.example", "-verify_return_error", "-verify_hostname", "x.a.example")
        check(code == 0 and "Verify return code: 0 (ok)" in said, "a chain that verifies", said)


@suite.case("RFC 7301 3.2")
def alpn_is_http11_or_an_alert(t):
    with t.serving(app(t, "--cert", world.a.pem)) as server:
        equal(talk(server, context=context_make(alpn=["h2", "http/1.1"])).info["alpn"], "http/1.1", "protocol")
        equal(talk(server).info["alpn"], "", "protocol")
        words = refusal(server, context=context_make(alpn=["h2"]))
        check("no application protocol" in words.lower().replace("_", " "), "no_application_protocol", words)


@suite.case("RFC 8446 4.1.2")
def versions_that_are_old_are_refused(t):
    with t.serving(app(t, "--cert", world.a.pem)) as server:
        check("PROTOCOL_VERSION" in refusal(server, context=context_make(V12)).upper(), "protocol_version", "another alert")
        for version in ("-tls1", "-tls1_1", "-tls1_2"):
            code, said = s_client(server, version, "-cipher", "ALL@SECLEVEL=0")
            check(code != 0 and "alert protocol version" in said, f"{version} to be refused", said)
    with t.serving(app(t, "--tls12", "--cert", world.a.pem)) as server:
        for version in ("-tls1", "-tls1_1"):
            code, said = s_client(server, version, "-cipher", "ALL@SECLEVEL=0")
            check(code != 0 and "alert protocol version" in said, f"{version} to be refused", said)
        code, said = s_client(server, "-tls1_2", "-cipher", "AES256-SHA:ECDHE-ECDSA-AES256-SHA:AES128-GCM-SHA256@SECLEVEL=0")
        check(code != 0 and "alert handshake failure" in said, "CBC and RSA key exchange to be refused", said)


# --- client certificates ----------------------------------------------------------------------------------------------

# client: (let in when optional, what the handler is told), part of the alert when required: 1.3, 1.2
CLIENTS = {
    "none": ("none", "", "CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE"),
    "valid": ("verified", "", None, None),
    "expired": ("failed", "certificate has expired", "CERTIFICATE_EXPIRED", "CERTIFICATE_EXPIRED"),
    "other": ("failed", "unable to get local issuer certificate", "UNKNOWN_CA", "UNKNOWN_CA"),
    "self": ("failed", "self-signed certificate", "UNKNOWN_CA", "UNKNOWN_CA"),
}


@suite.case("RFC 8446 4.3.2")
def clients_are_not_asked(t):
    with t.serving(app(t, "--tls12", "--cert", world.a.pem)) as server:
        for version in BOTH:
            for who in CLIENTS:
                info = talk(server, context=context_make(version, world.clients[who])).info
                equal((info["client"], info["subject"]), ("none", ""), f"what is known of {who}")


@suite.case("RFC 8446 4.4.2.4")
def clients_are_asked_and_let_in(t):
    with t.serving(app(t, "--tls12", "--client", "optional", "--client-ca", world.root.cert, "--cert", world.a.pem)) as server:
        for version in BOTH:
            for who, (client, reason, _, _) in CLIENTS.items():
                info = talk(server, context=context_make(version, world.clients[who])).info
                subject = "" if who == "none" else f"CN={who}"
                equal((info["client"], info["subject"], info["reason"]), (client, subject, reason), f"what is known of {who}")


@suite.case("RFC 8446 4.4.2.4")
def clients_are_asked_and_refused(t):
    with t.serving(app(t, "--tls12", "--client", "required", "--client-ca", world.root.cert, "--cert", world.a.pem)) as server:
        for version in BOTH:
            for who, (_, _, alert13, alert12) in CLIENTS.items():
                context = context_make(version, world.clients[who])
                alert = alert13 if version == V13 else alert12
                if alert is None:
                    info = talk(server, context=context).info
                    equal((info["client"], info["subject"]), ("verified", f"CN={who}"), f"what is known of {who}")
                else:
                    words = refusal(server, context=context)
                    check(alert in words, f"{alert} for {who}", words)


@suite.case("RFC 8446 4.6.1")
def ticket_of_one_host_does_not_open_another(t):
    """A session without a client certificate must not be resumed where one is required, nor the other way round."""
    with t.serving(app(t, "--tls12", "--cert", world.a.pem, "--cert", world.b.pem, "--cert-client", "required",
                       "--cert-client-ca", world.root.cert)) as server:
        for version in BOTH:
            bare, known = context_make(version), context_make(version, world.clients["valid"])
            with Talk(server, "a.example", context=bare) as first:
                refusal(server, "b.example", context=bare, session=first.sock.session)
                equal(talk(server, "a.example", context=bare, session=first.sock.session).info["resumed"], "1", "resumed")
            with Talk(server, "b.example", context=known) as first:
                equal(first.info["client"], "verified", "client")
                again = talk(server, "b.example", context=known, session=first.sock.session).info
                equal((again["resumed"], again["client"], again["subject"]), ("1", "verified", "CN=valid"), "the second time")
            with Talk(server, "b.example", context=known) as first:
                other = talk(server, "a.example", context=known, session=first.sock.session).info
                equal((other["resumed"], other["client"]), ("0", "none"), "at the other host")


# --- tickets ----------------------------------------------------------------------------------------------------------


@suite.case("RFC 8446 4.6.1")
def ticket_is_good_at_every_worker(t):
    """An acceptor gives each connection to the worker with the fewest: a first that stays leads the second elsewhere."""
    for version in BOTH:  # a server for each: it may not know yet that the last connections have ended
        with t.serving(app(t, "--tls12", "--accept-threads", "1", "--cert", world.a.pem, workers="2")) as server:
            context = context_make(version)
            with Talk(server, context=context) as first, Talk(server, context=context, session=first.sock.session) as second:
                equal((first.info["resumed"], second.info["resumed"]), ("0", "1"), "resumed")
                equal({first.info["worker"], second.info["worker"]}, {"0", "1"}, "workers")


@suite.case()
def tickets_off_means_no_return(t):
    with t.serving(app(t, "--tls12", "--tickets-off", "--cert", world.a.pem)) as server:
        for version in BOTH:
            context = context_make(version)
            with Talk(server, context=context) as first:
                session = first.sock.session if first.sock.session and first.sock.session.has_ticket else None
                equal(session, None, "ticket")
                equal(talk(server, context=context, session=first.sock.session).info["resumed"], "0", "resumed")


# --- other certificates while it runs ---------------------------------------------------------------------------------


@suite.case()
def reload_takes_new_files_and_keeps_connections(t):
    path = copied("changing.pem", world.a)
    context = context_make()
    with t.serving(app(t, "--cert", path, workers="2")) as server, Talk(server, context=context) as old:
        equal(old.subject, "a", "certificate")
        shutil.copy(world.a_rsa.pem, path)
        equal(talk(server).subject, "a", "certificate before the reload")
        equal(reload(server), (0, ""), "reload")
        for _ in range(4):
            until_subject(server, "a-rsa")
        equal(old.ask()["version"], "TLSv1.3", "the old connection")
        equal(talk(server, context=context, session=old.sock.session).info["resumed"], "1", "a ticket from before")


@suite.case()
def reload_changes_names_and_clients(t):
    with t.serving(app(t, "--cert", world.a.pem, "--", "--cert", world.b.pem, "--client", "required", "--client-ca",
                       world.root.cert, "--", "--cert", world.a.pem, "--tls12", "--ciphersuites", "NONE")) as server:
        equal(reload(server, "/1"), (0, ""), "reload")
        for _ in range(1000):
            with contextlib.suppress(ssl.SSLError, ConnectionResetError):
                talk(server)
                continue
            break
        check("CERTIFICATE_REQUIRED" in refusal(server), "certificate_required", "another alert")
        equal(talk(server, "b.example", context=context_make(client=world.clients["valid"])).subject, "b", "certificate")
        equal(reload(server, "/2"), (-1, "ciphersuites: 'NONE' is no list of cipher suites of TLS 1.3"), "reload")
        equal(reload(server), (0, ""), "reload of the configuration that is in use")
        equal(talk(server, "b.example", context=context_make(client=world.clients["valid"])).subject, "b", "certificate")
        equal(reload(server, "/0"), (0, ""), "reload")
        equal(until_subject_again(server).subject, "a", "certificate")


def until_subject_again(server):
    """As until_subject, when the old configuration refuses us."""
    for _ in range(1000):
        with contextlib.suppress(ssl.SSLError, ConnectionResetError):
            return talk(server)
    raise Failure("to be let in", "a refusal")


def write(path, *parts):
    with open(path, "wb") as out:
        for part in parts:
            with open(part, "rb") as file:
                out.write(file.read())


@suite.case()
def reload_of_bad_files_keeps_the_old_and_says_why(t):
    path, key = world.certs.path("bad.pem"), world.certs.path("bad.key")
    shutil.copy(world.a.pem, path)
    shutil.copy(world.a.key, key)
    expired = world.certs.make("late", names=("DNS:a.example",), issuer=world.root, dates=tls_certs.EXPIRED)
    future = world.certs.make("early", names=("DNS:a.example",), issuer=world.root,
                              dates=("20480101000000Z", "20490101000000Z"))
    bad = (
        ("has expired: 2021-01-01", lambda: (write(path, expired.cert), write(key, expired.key))),
        ("is not valid before 2048-01-01", lambda: (write(path, future.cert), write(key, future.key))),
        ("does not match the certificate", lambda: (write(path, world.a.cert), write(key, world.b.key))),
        ("out of order", lambda: (write(path, world.middle.cert, world.a.cert), write(key, world.a.key))),
        ("has not signed", lambda: write(path, world.a.cert, world.other_root.cert)),
        ("is empty", lambda: write(path)),
        ("holds no certificate in PEM", lambda: write(path, world.a.key)),
        ("cannot be read: No such file", lambda: os.unlink(path)),
    )
    with t.serving(app(t, "--cert", path, "--key", key)) as server:
        for words, spoil in bad:
            spoil()
            error, reason = reload(server)
            check(error == -1 and words in reason and (path in reason or key in reason), f"a refusal: {words}", reason)
            equal(talk(server).subject, "a", f"certificate ({words})")
        write(path, world.a_rsa.pem)
        write(key, world.a_rsa.key)
        equal(reload(server), (0, ""), "reload")
        until_subject(server, "a-rsa")


@suite.case()
def start_with_bad_files_says_why(t):
    process = subprocess.run([t.program("tls_app"), "--workers", "1", "--cert", world.a.cert, "--key", world.b.key],
                             capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    equal(process.returncode, 1, "exit status")
    check("does not match the certificate in " + world.a.cert in process.stderr, "the reason", process.stderr)


# --- under load -------------------------------------------------------------------------------------------------------


class Load:
    """Clients on threads: some come anew for each request, some with a ticket, some stay. Nothing may fail."""

    def __init__(self, server):
        self.server, self.is_over = server, threading.Event()
        self.asked, self.subjects, self.errors = 0, set(), []
        self.threads = [threading.Thread(target=self.guard, args=(kind,)) for kind in (self.anew, self.back, self.stay)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.is_over.set()
        for thread in self.threads:
            thread.join(TIMEOUT_S * 2)

    def guard(self, kind):
        try:
            kind(context_make())
        except Exception as error:  # whatever it was, it is the result
            self.errors.append(f"{kind.__name__}: {error!r}")

    def anew(self, context):
        while not self.is_over.is_set():
            self.subjects.add(talk(self.server, context=context).subject)
            self.asked += 1

    def back(self, context):
        session = None
        while not self.is_over.is_set():
            with Talk(self.server, context=context, session=session) as done:
                session = done.sock.session
                self.asked += 1

    def stay(self, context):
        with Talk(self.server, context=context) as done:
            while not self.is_over.is_set():
                done.ask()
                self.asked += 1


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1))


@suite.case(alone=True)
def reload_under_load_fails_no_request(t):
    path = copied("loaded.pem", world.a)
    fresh = [world.certs.path("fresh0.pem"), world.certs.path("fresh1.pem")]
    for source, target in zip((world.a_rsa.pem, world.a.pem), fresh):
        shutil.copy(source, target)
    with t.serving(app(t, "--cert", path, workers="2")) as server, Load(server) as load:
        for i in range(RELOADS):
            shutil.copy(fresh[i % 2], path + ".new")
            os.rename(path + ".new", path)
            equal(reload(server), (0, ""), f"reload {i}")
            if load.errors:
                break
        load.is_over.set()
        equal(load.errors, [], f"after {load.asked} requests: errors")
        check(load.asked > 0, "requests", load.asked)
        if RELOADS >= 20:
            equal(load.subjects, {"a", "a-rsa"}, "certificates that were seen")


@suite.case(alone=True)
def reload_does_not_grow_the_server(t):
    if is_instrumented(t.program("tls_app")):
        raise Skip("a sanitizer keeps memory")
    with t.serving(app(t, "--cert", world.a.pem, "--cert", world.b.pem, workers="2")) as server:
        sizes = []
        for _ in range(3):
            for _ in range(100):
                equal(reload(server), (0, ""), "reload")
                talk(server)
            sizes.append(rss_kib(server.pid))
        check(sizes[2] - sizes[0] < 512, "less than 512 KiB for 200 reloads", f"{sizes} KiB")


@suite.case()
def reloads_at_the_same_time_take_turns(t):
    with t.serving(app(t, "--cert", world.a.pem, "--", "--cert", world.b.pem, workers="2")) as server:
        verdicts = []
        threads = [threading.Thread(target=lambda i=i: verdicts.append(reload(server, f"/{i % 2}"))) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S * 2)
        equal(verdicts, [(0, "")] * 8, "verdicts")
        equal(reload(server, "/1"), (0, ""), "reload")
        until_subject(server, "b")


if __name__ == "__main__":
    sys.exit(suite.run())
